"""What to say, and what to do, when code of the pipeline raises an exception.

Beam tells the step: it appends " [while running 'STEP']" to the text of the exception. Which
element it was comes from a ``Witness``, which Beam calls in the place of its data sampler, with
the very element. Where Beam calls nobody (timers, combiners) it is read from the frame of the
function that Beam has called, which the traceback still holds.

From worker processes only text arrives: there ``describe`` puts the same facts into the text, and
``explain`` reads them back.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from runners.local.errors import LocalRunnerError

__all__ = ["Retry"]

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 60.0


class Retry:
    """When failing work is tried again: after 0.5, 1, 2, ... seconds, each time off by a half.

    Args:
        attempts: how often in a row work may be tried.
        chance: gives numbers from 0 to 1; several jobs that fail together don't return together.
    """

    def __init__(self, attempts: int, chance: Callable[[], float] = random.random) -> None:
        self._attempts = attempts
        self._chance = chance
        self._failed = 0

    def failed(self, error: BaseException) -> float | None:
        """Note a failure; return the seconds to wait, or None: don't try again."""
        self._failed += 1
        if self._failed >= self._attempts or not worth_retrying(error):
            return None
        pause_s = min(FIRST_PAUSE_S * 2.0 ** (self._failed - 1), LONGEST_PAUSE_S)
        return pause_s * (0.5 + self._chance())

    def succeeded(self) -> None:
        """Note a success: the next failure is a first one."""
        self._failed = 0


def worth_retrying(error: BaseException) -> bool:
    """Tell whether the same work may succeed later.

    Not what stops the process, not the runner's own errors, which wait for a person. Of foreign
    exceptions nobody can know; one that does carries ``worth_retrying = False``, as may its class.
    """
    if not isinstance(error, Exception) or isinstance(error, LocalRunnerError):
        return False
    # Beam replaces some exceptions by a RuntimeError, with the original one as its context.
    links = (error, error.__cause__, error.__context__)
    return all(getattr(link, "worth_retrying", True) for link in links)
