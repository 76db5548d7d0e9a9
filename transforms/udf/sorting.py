"""Where each thing goes that a user's function has returned for single rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from transforms import kinds
from transforms.udf.calls import Failed

__all__ = ["Lot", "Sorted", "collected", "sort"]


@dataclass
class Lot:
    """Things of one destination, and the row that each was made of; the rows never go down."""

    values: list[Any] = field(default_factory=list)
    origin: Sequence[int] = field(default_factory=list)


@dataclass
class Sorted:
    """Things by destination, and the rows of which there are none."""

    main: Lot
    routed: dict[str, Lot] = field(default_factory=dict)
    errors: dict[int, tuple[str, str]] = field(default_factory=dict)
    dropped: int = 0


def collected(fn: Callable[..., Any], kinds_of_row: tuple[type, ...]) -> Callable[..., Any]:
    """Return a function that returns a row, None, a tuple of name and row, or a list of these.

    A generator is run to its end here, so that what it does is part of the call.
    """
    plain = {*kinds_of_row, type(None)}

    def call(*args: Any) -> Any:
        result = fn(*args)
        return result if type(result) in plain else _several(result, kinds_of_row)

    return call


def _several(result: Any, kinds_of_row: tuple[type, ...]) -> Any:
    if isinstance(result, dict) and dict in kinds_of_row:
        return dict(result)  # a subclass may make up values
    if isinstance(result, kinds_of_row):
        return result
    if _is_routed(result):
        return [result]
    if isinstance(result, Iterable) and not isinstance(result, (str, bytes, dict)):
        return list(result)
    return _wrong(result, kinds_of_row)


def sort(results: Sequence[Any], kinds_of_row: tuple[type, ...], outputs: Sequence[str]) -> Sorted:
    """Sort what ``collected`` functions returned: all that a row became, or its error."""
    if set(map(type, results)) <= set(kinds_of_row):
        return Sorted(Lot(list(results), range(len(results))))
    made = Sorted(Lot([], []), {name: Lot() for name in outputs})
    for index, result in enumerate(results):
        if isinstance(result, kinds_of_row):
            _add(made.main, result, index)
        elif isinstance(result, Failed):
            made.errors[index] = result
        elif not result:
            made.dropped += 1
        else:
            _spread(made, result, index, kinds_of_row)
    return made


def _spread(made: Sorted, items: Sequence[Any], index: int, kinds_of_row: tuple[type, ...]) -> None:
    pairs = [item if _is_routed(item) else ("", item) for item in items]
    for name, row in pairs:
        if name and name not in made.routed:
            made.errors[index] = _undeclared(name, made.routed)
            return
        if not isinstance(row, kinds_of_row):
            made.errors[index] = _wrong(row, kinds_of_row)
            return
    for name, row in pairs:
        _add(made.routed[name] if name else made.main, row, index)


def _add(lot: Lot, value: Any, index: int) -> None:
    lot.values.append(value)
    lot.origin.append(index)  # type: ignore[attr-defined]


def _is_routed(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str)  # noqa: PLR2004


def _wrong(value: Any, kinds_of_row: tuple[type, ...]) -> Failed:
    wanted = " or ".join(kind.__name__ for kind in kinds_of_row)
    return Failed(
        kinds.UDF_RESULT,
        f"The function returned {type(value).__name__}, and not {wanted}, None, or a list of these",
    )


def _undeclared(name: str, outputs: Iterable[str]) -> Failed:
    declared = ", ".join(outputs) or "none"
    return Failed(kinds.UDF_RESULT, f"There is no output {name!r}; declared are: {declared}")
