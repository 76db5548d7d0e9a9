"""Call a user's function for one row after the other, within its time limit.

The loop over the rows is in C, and so is the count of where it is: a row costs its call and
nothing else.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from transforms import kinds
from transforms.udf.compiled import where
from transforms.udf.limit import Overrun, Watch, settle

__all__ = ["Calls", "Failed", "call_each", "reason", "too_long"]


class Failed(NamedTuple):
    """Why there is no result for a row."""

    kind: str
    text: str


class Calls(NamedTuple):
    """Calls to be made, one for each row."""

    fn: Callable[..., Any]
    """The user's; what it raises is kept."""
    arguments: Sequence[Sequence[Any]]
    """For each of its parameters those of all rows."""
    again: Callable[[int], Sequence[Any]]
    """Makes the arguments of one row anew, for a function may change what it is given."""
    path: str
    """Of the file, for the line in errors."""


def call_each(calls: Calls, watch: Watch) -> list[Any]:
    """Return the result for each row, or a ``Failed``.

    A row that takes longer than the limit has failed, also if it comes to an end all the same. The
    watchdog may strike when that row has just ended: the next one is then called again.
    """
    count = len(calls.arguments[0])
    loop = _Loop(calls, watch)
    while len(loop.results) < count:
        loop.go_on()
    for hint in loop.slow:
        if hint < count:
            loop.results[count - hint - 1] = too_long(watch)
    return loop.results


class _Loop:
    """Calls for one row after the other, which ``Overrun`` may interrupt at any place.

    The iterators tell what is done: when more rows were taken than there are results, the last one
    was cut off.
    """

    def __init__(self, calls: Calls, watch: Watch) -> None:
        self.results: list[Any] = []
        self.slow: set[int] = set()
        self._calls, self._watch = calls, watch
        self._count = len(calls.arguments[0])
        self._arguments = [iter(each) for each in calls.arguments]

    def go_on(self) -> None:
        """Call until all is done, or until the watchdog strikes between two calls."""
        # It strikes once within a limit: no two of these handlers are interrupted.
        try:
            try:
                self._watch.begin(self._arguments[0])
                self._run()
            except Overrun:
                pass
            self.slow |= settle(self._watch)
        except BaseException as error:
            self.slow |= settle(self._watch)
            if not isinstance(error, Overrun):
                raise

    def _run(self) -> None:
        calls, results = self._calls, self.results
        caught: BaseException | None = None
        while len(results) < self._count:
            try:
                if caught is not None:
                    # Forgotten first: a strike behind ``append`` must not find it once more.
                    failed, caught = reason(caught, calls.path), None
                    results.append(failed)
                left = operator.length_hint(self._arguments[0])
                if self._count - left == len(results):
                    results.extend(map(calls.fn, *self._arguments))
                elif left in self._watch.accused() or left in self.slow:
                    results.append(too_long(self._watch))
                else:
                    results.append(calls.fn(*calls.again(len(results))))
            except Overrun:  # noqa: PERF203 - entered once per failure, not per row
                caught = None  # its text took too long, which the row is accused of
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # noqa: BLE001 - the function is the user's, sys.exit too
                caught = error


def reason(error: BaseException, path: str) -> Failed:
    """Return what a dead letter says of an error: ``ValueError: no number (file.py:12)``."""
    try:
        text = str(error)
    except Exception:  # noqa: BLE001 - the class may be the user's too
        text = "(its text can't be made)"
    name = type(error).__name__
    return Failed(kinds.UDF_ERROR, f"{name}: {text}{where(error, path)}")


def too_long(watch: Watch) -> Failed:
    """Return what a dead letter says of a call that took longer than the limit."""
    return Failed(kinds.UDF_TIMEOUT, f"It took longer than {watch.limit_s:g} s")
