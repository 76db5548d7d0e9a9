"""Call a user's function for one row after the other, within its time limit.

The loop over the rows is in C, and so is the count of where it is: a row costs its call and
nothing else.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Sequence
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
    first, *others = map(iter, calls.arguments)
    results: list[Any] = []
    try:
        watch.begin(first)
        _run(calls, (first, *others), results, watch)
    except Overrun:  # it struck when the last row had ended
        pass
    finally:
        slow = settle(watch)
    count = len(calls.arguments[0])
    for hint in slow:
        if hint < count:
            results[count - hint - 1] = too_long(watch)
    return results


def _run(
    calls: Calls, arguments: tuple[Iterator[Any], ...], results: list[Any], watch: Watch
) -> None:
    """Fill in the results.

    The iterators tell what is done: when more rows were taken than there are results, the last
    one was cut off. That holds wherever ``Overrun`` strikes.
    """
    count = len(calls.arguments[0])
    caught: BaseException | None = None
    while len(results) < count:
        try:
            if caught is not None:
                results.append(reason(caught, calls.path))
                caught = None
            left = operator.length_hint(arguments[0])
            if count - left == len(results):
                results.extend(map(calls.fn, *arguments))
            elif left in watch.accused():
                results.append(too_long(watch))
            else:
                results.append(calls.fn(*calls.again(len(results))))
        except Overrun:  # noqa: PERF203 - entered once per failure, not per row
            continue
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
