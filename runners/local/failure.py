"""What to say, and what to do, when code of the pipeline raises an exception.

Beam tells the step: it appends " [while running 'STEP']" to the text of the exception. Which
element it was tells a ``Witness``, or the frame of the function that Beam has called.

From worker processes only text arrives: there ``report`` puts the facts into a text, and
``explain`` reads them back.
"""

from __future__ import annotations

import dataclasses
import json
import random
import re
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass

from runners.local.errors import LocalRunnerError
from runners.local.witness import call_of, remembered

__all__ = ["Failure", "Retry", "explain", "report", "worth_retrying"]

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 60.0
FORGIVE_S = 60.0
"""When work has gone well for so long, earlier failures don't count any more."""

_MARK = "failure of a step: "
_WHILE_RUNNING = re.compile(r" \[while running '(.*?)'\]\s*$", re.S)


@dataclass(frozen=True)
class Failure:
    """An exception of the pipeline's code, as a person needs it.

    Attributes:
        step: full name of the step; None if it was raised outside the steps.
        element: summary of what the step was given; None if it was given nothing.
        error: type and text of the exception, without what Beam adds.
        traceback: of the original exception, with its causes; Beam's outer frames are left out.
        retry: trying again may help.
    """

    step: str | None
    element: str | None
    error: str
    traceback: str
    retry: bool

    def __str__(self) -> str:
        place = f"step {self.step}" if self.step else "the pipeline"
        given = f" at {self.element}" if self.element else ""
        return f"{place} failed{given}: {self.error}"


def explain(error: BaseException) -> Failure:
    """Return what is known about an exception that came out of a bundle. It never raises."""
    reported = _reported(error)
    if reported is not None:
        return reported
    original = _original(error)
    step = _step(error)
    element = remembered(original)
    call = call_of(original.__traceback__)
    if call is not None and call.of_combiner:
        # Combiners run as part of the step before them, and Beam names that one.
        step, element = f"{call.function}, right behind {step}", call.element
    elif call is not None and element is None:
        element = call.element
    lines = traceback.format_exception(type(original), original, original.__traceback__)
    return Failure(step, element, _said(original), "".join(lines), worth_retrying(error))


def report(error: BaseException) -> str:
    """Return a text with all that ``explain`` has to know: what a worker process answers."""
    return _MARK + json.dumps(dataclasses.asdict(explain(error)))


def worth_retrying(error: BaseException) -> bool:
    """Tell whether the same work may succeed later.

    Not what stops the process, and not the runner's own errors, which wait for a person. Of other
    exceptions nobody can know, unless they say ``worth_retrying = False`` themselves.
    """
    reported = _reported(error)
    if reported is not None:
        return reported.retry
    if not isinstance(error, Exception) or isinstance(error, LocalRunnerError):
        return False
    return bool(getattr(_original(error), "worth_retrying", True))


class Retry:
    """When failing work is tried again: after 0.5, 1, 2, ... seconds, each off by up to a half.

    A success does not forgive the failures right before it: a source may need some seconds to
    give a poisonous message again, and succeeds with others meanwhile.

    Args:
        attempts: how often in a row work may be tried.
        chance: gives numbers from 0 to 1; several jobs that fail together don't return together.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        attempts: int,
        chance: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._attempts = attempts
        self._chance = chance
        self._clock = clock
        self._failed = 0
        self._again_s = 0.0

    def failed(self, error: BaseException) -> float | None:
        """Note a failure; return the seconds to wait, or None: don't try again."""
        self._failed += 1
        if self._failed >= self._attempts or not worth_retrying(error):
            return None
        # The exponent is bounded as well: a thousand attempts are too many for a float.
        pause_s = min(FIRST_PAUSE_S * 2.0 ** min(self._failed - 1, 30), LONGEST_PAUSE_S)
        pause_s *= 0.5 + self._chance()
        self._again_s = self._clock() + pause_s
        return pause_s

    def succeeded(self) -> None:
        """Note a success: if it comes long after the last failure, the next one is a first one."""
        if self._clock() - self._again_s >= FORGIVE_S:
            self._failed = 0


def _reported(error: BaseException) -> Failure | None:
    """Return the failure whose report the text of an exception holds, if any."""
    if not isinstance(error, RuntimeError):
        return None
    found = re.search(f"{re.escape(_MARK)}({{.*}})$", _text(error), re.M)
    return Failure(**json.loads(found[1])) if found else None


def _original(error: BaseException) -> BaseException:
    """Return the exception as it was raised: Beam raises a copy of it, with the step's name."""
    if getattr(error, "_tagged_with_step", False) and error.__context__ is not None:
        return error.__context__
    return error


def _step(error: BaseException) -> str | None:
    for text in (_text(error), *(each for each in error.args if isinstance(each, str))):
        found = _WHILE_RUNNING.search(text)
        if found:
            return found[1]
    return None


def _said(error: BaseException) -> str:
    text = _WHILE_RUNNING.sub("", _text(error))
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as problem:  # noqa: BLE001 - the class is the user's
        return f"<its text can't be made: {type(problem).__name__}>"
