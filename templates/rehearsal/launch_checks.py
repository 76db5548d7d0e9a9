"""What must be true of a launch before there is a graph to look at."""

from __future__ import annotations

from collections.abc import Mapping

from templates.rehearsal.finding import WrongError
from templates.rehearsal.flex_launcher import Launched

__all__ = ["all_there", "ended"]

_LAST_LINES = 12
_NO_JOB = "Failed to get the Dataflow job id"


def all_there(missing: Mapping[str, str]) -> str:
    """Check that samples are at hand.

    Args:
        missing: objects without one, by the parameter that names them.
    """
    for parameter, name in missing.items():
        raise WrongError(
            f"{parameter} names {name}, and no sample of it is at hand",
            f"Give one: --object {name}=PATH",
        )
    return "all that is read is there"


def ended(launched: Launched, timeout_s: float) -> str:
    """Check that the launcher's command has ended well, within so many seconds."""
    last = "\n".join(launched.log.splitlines()[-_LAST_LINES:])
    if launched.code is None:
        raise WrongError(
            f"the launcher's command has not ended after {timeout_s:g} s. It said:\n{last}",
            "Don't wait for the job: the launcher only builds it",
        )
    if launched.code != 0:
        fix = "Mend what it says, or give a sample of what it has read: --object gs://...=PATH"
        if _NO_JOB in launched.log:
            fix = "Don't wait for the job: the launcher only builds it"
        raise WrongError(
            f"the launcher's command has ended with exit code {launched.code}. It said:\n{last}",
            fix,
        )
    return f"ended after {launched.seconds:.1f} s, without waiting for a job"
