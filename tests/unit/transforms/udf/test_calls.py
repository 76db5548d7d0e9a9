"""The loop over the rows, and where the time limit may strike."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Set
from typing import Any

import pytest

from transforms import kinds
from transforms.udf import Overrun, Unlimited
from transforms.udf.calls import Calls, Failed, _Loop, call_each


class Striking:
    """A watch whose function strikes by itself: what another thread does, at known places."""

    limit_s = 1.0

    def __init__(self) -> None:
        self._accused: set[int] = set()
        self._strikes_at_end = False

    def begin(self, remaining: Iterator[Any]) -> None:
        self.remaining = remaining

    def accuse(self, *, strike: bool = True, back: int = 0) -> None:
        """Accuse the row at hand, or one before; raise ``Overrun`` at once unless told not to."""
        self._accused.add(operator.length_hint(self.remaining) + back)
        if strike:
            raise Overrun

    def strike_at_end(self) -> None:
        self._strikes_at_end = True

    def accused(self) -> Set[int]:
        return self._accused

    def end(self) -> Set[int]:
        if self._strikes_at_end:
            self._strikes_at_end = False
            raise Overrun
        return self._accused


def called(fn: Callable[[int], Any], count: int, watch: Any = None) -> list[Any]:
    """Return the results for rows 0, 1, ..."""
    calls = Calls(fn, [list(range(count))], lambda index: [index], "file.py")
    return call_each(calls, watch or Unlimited())


def kinds_of(results: list[Any]) -> list[Any]:
    """Return the results, failures as their kinds."""
    return [each.kind if isinstance(each, Failed) else each for each in results]


def test_each_row_has_its_result() -> None:
    """In order; an exception is that of its row."""

    def fn(row: int) -> int:
        return 12 // row if row != 5 else {}[row]

    results = called(fn, 7)
    assert kinds_of(results) == [kinds.UDF_ERROR, 12, 6, 4, 3, kinds.UDF_ERROR, 2]
    assert results[0].text == "ZeroDivisionError: integer division or modulo by zero"
    assert results[5].text == "KeyError: 5"
    assert called(fn, 0) == []


def test_exits_are_errors_and_an_interrupt_is_not() -> None:
    """A function can't end the worker; who sits before the terminal can."""

    def fn(row: int) -> None:
        raise (SystemExit, GeneratorExit, RecursionError, StopIteration)[row]

    assert kinds_of(called(fn, 3)) == [kinds.UDF_ERROR] * 3

    def interrupted(row: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        called(interrupted, 1)


def test_stop_iteration_is_an_error_of_its_row() -> None:
    """Loops over iterators end at it; this one does not."""

    def fn(row: int) -> int:
        if row == 1:
            raise StopIteration
        return row

    assert kinds_of(called(fn, 4)) == [0, kinds.UDF_ERROR, 2, 3]


def test_slow_row_is_dead_and_its_neighbours_are_not() -> None:
    """The limit strikes within its call."""
    watch = Striking()

    def fn(row: int) -> int:
        if row in {1, 3}:
            watch.accuse()
        return row

    assert kinds_of(called(fn, 4, watch)) == [0, kinds.UDF_TIMEOUT, 2, kinds.UDF_TIMEOUT]


def test_limit_that_strikes_the_next_row_costs_it_nothing() -> None:
    """It is called again, with new arguments; the one that was slow is dead."""
    watch = Striking()
    seen: list[int] = []

    def fn(row: int) -> int:
        seen.append(row)
        if seen == [0, 1, 2]:
            watch.accuse(back=1)
        return row

    assert kinds_of(called(fn, 4, watch)) == [0, kinds.UDF_TIMEOUT, 2, 3]
    assert seen == [0, 1, 2, 2, 3]


def test_function_that_swallows_the_strike_is_dead_all_the_same() -> None:
    """``except BaseException`` in a loop saves no row from the limit."""
    watch = Striking()

    def fn(row: int) -> int:
        if row == 1:
            try:
                watch.accuse()
            except BaseException:  # noqa: BLE001 - what users do
                return row
        return row

    assert kinds_of(called(fn, 3, watch)) == [0, kinds.UDF_TIMEOUT, 2]


def test_error_made_of_the_strike_is_still_the_limit() -> None:
    """A function may translate what it catches."""
    watch = Striking()

    def fn(row: int) -> int:
        if row == 0:
            try:
                watch.accuse()
            except BaseException as error:
                raise ValueError from error
        return row

    assert kinds_of(called(fn, 2, watch)) == [kinds.UDF_TIMEOUT, 1]


def test_strike_after_the_last_row_is_harmless() -> None:
    """It may come as late as when the watch ends."""
    watch = Striking()

    def fn(row: int) -> int:
        if row == 2:
            watch.accuse(strike=False)
            watch.strike_at_end()
        return row

    assert kinds_of(called(fn, 3, watch)) == [0, 1, kinds.UDF_TIMEOUT]


def test_error_whose_text_fails_is_told() -> None:
    """Its class is the user's too."""

    class BadError(Exception):
        def __str__(self) -> str:
            raise ValueError

    def fn(row: int) -> None:
        raise BadError

    (result,) = called(fn, 1)
    assert result == Failed(kinds.UDF_ERROR, "BadError: (its text can't be made)")


class StruckList(list[Any]):
    """Results of which an append is struck when it is done, as the interpreter may be there."""

    def append(self, value: Any) -> None:
        super().append(value)
        if not self.struck:
            self.struck = True
            raise Overrun

    struck = False


def test_strike_behind_an_error_is_not_told_of_the_next_row() -> None:
    """An error that is noted is noted once, so that each row keeps its own result."""

    def fn(row: int) -> int:
        return 1 // row

    calls = Calls(fn, [[0, 1, 1]], lambda index: [[0, 1, 1][index]], "file.py")
    loop = _Loop(calls, Striking())
    loop.results = StruckList()
    while len(loop.results) < 3:
        loop.go_on()
    assert kinds_of(loop.results) == [kinds.UDF_ERROR, 1, 1]


def test_error_whose_text_takes_too_long_is_a_slow_row() -> None:
    """The text is made within the limit, and not over and over again."""
    watch = Striking()

    class SlowError(Exception):
        def __str__(self) -> str:
            watch.accuse()
            return ""

    def fn(row: int) -> int:
        if row == 1:
            raise SlowError
        return row

    assert kinds_of(called(fn, 3, watch)) == [0, kinds.UDF_TIMEOUT, 2]
