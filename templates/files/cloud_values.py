"""Values that are good on this machine, and nothing for a job on Dataflow."""

from __future__ import annotations

import os
import posixpath
import re

from google.auth.exceptions import DefaultCredentialsError

from pipelines.params import ConfigError, Spec

__all__ = ["has_cause", "is_object", "lacks_credentials", "refuse_local"]

_SCHEME = "gs://"
_ONE_PROCESS = "is the pace of one process, and on Dataflow there are several"
_NO_END = "ends a run on this machine, and nothing on Dataflow looks at it"

_HERE = {
    "dry_run": "takes back what a run on this machine has read, which Dataflow can't",
    "max_messages": _NO_END,
    "max_seconds": _NO_END,
    "rate": _ONE_PROCESS,
    "speed": _ONE_PROCESS,
}
"""Parameters for a run on this machine, and why."""
_OFF = "false"


def refuse_local(spec: Spec, text: str) -> None:
    """Raise ConfigError if a job on Dataflow could not use a value, or would not.

    Args:
        spec: the parameter.
        text: of its flag.
    """
    if spec.name in _HERE and text != _OFF:
        fix = f"Leave it out, or write {spec.name}: null into a file for Dataflow"
        raise ConfigError(spec.flag, text, _HERE[spec.name], fix)
    pattern = spec.kind.cloud_pattern
    if not pattern or re.fullmatch(pattern, text):
        return
    raise ConfigError(
        spec.flag, text, "names a place on this machine, which no worker of Dataflow has",
        _fix(spec, text, pattern),
    )  # fmt: skip


def is_object(spec: Spec, text: str) -> bool:
    """Whether a value names an object that is read to judge it."""
    return spec.kind.reads_file and text.startswith(_SCHEME)


def lacks_credentials(error: ConfigError) -> bool:
    """Whether an error is that nobody has signed in here; a bad file of credentials is another."""
    named = os.environ.get("GOOGLE_APPLICATION_CREDENTIALS")
    return not named and has_cause(error, DefaultCredentialsError)


def has_cause(problem: ConfigError, kind: type[BaseException]) -> bool:
    """Whether an error, or one that led to it, is of a kind."""
    seen: set[int] = set()
    left: list[BaseException | None] = [problem]
    while left:
        error = left.pop()
        if error is None or id(error) in seen:  # an error may be its own cause
            continue
        if isinstance(error, kind):
            return True
        seen.add(id(error))
        left += [error.__context__, error.__cause__]
    return False


def _fix(spec: Spec, text: str, pattern: str) -> str:
    if spec.kind.reads_file:
        path, colon, function = text.partition(":")  # what stands behind it, is within the file
        place = f"{_SCHEME}my-bucket/{posixpath.basename(path)}"
        then = f"{spec.name}: {place}{colon}{function}"
        return f"Copy it: gcloud storage cp {path} {place}; then write {then}"
    good = [each for each in spec.examples if re.fullmatch(pattern, each)]
    return f"Write for example {spec.name}: {good[0] if good else _SCHEME + 'my-bucket/folder'}"
