"""Batches to dictionaries, several times as fast as Arrow does it.

Arrow makes a Python object of each value on its own, and of times by way of a time zone each.
"""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from transforms.batch import Batch
from transforms.message import MESSAGE_SCHEMA, message_column

__all__ = ["dictionaries", "message_dictionaries", "values_of"]

Row = dict[str, Any]


def dictionaries(columns: Sequence[pa.Array], names: Sequence[str]) -> list[Row]:
    """Return rows as dictionaries, each its own."""
    return _maker(tuple(names))(*map(values_of, columns))


def message_dictionaries(batch: Batch) -> list[Row]:
    """Return the messages of rows as dictionaries, with their attributes as dictionaries."""
    names = MESSAGE_SCHEMA.names
    return dictionaries([message_column(batch, name) for name in names], names)


def values_of(column: pa.Array) -> list[Any]:
    """Return the values of a column, a map as a dictionary, a time in UTC."""
    to = column.type
    if pa.types.is_map(to):
        return _maps(column)
    if pa.types.is_timestamp(to) and to.unit == "us" and to.tz in (None, "UTC"):
        return _times(column)
    return column.to_pylist()


@functools.lru_cache(maxsize=64)
def _maker(names: tuple[str, ...]) -> Callable[..., list[Row]]:
    """Compile the loop: code with the names in it takes a sixth of the time of ``dict(zip())``."""
    slots = [f"c{index}" for index in range(len(names))]
    pairs = ", ".join(f"{name!r}: {slot}" for name, slot in zip(names, slots, strict=True))
    values = "".join(f"{slot}," for slot in slots)
    code = f"lambda {values.rstrip(',')}: [{{{pairs}}} for {values} in zip({values})]"
    return eval(code, {})  # noqa: S307 - the names are quoted by repr


def _maps(column: pa.MapArray) -> list[Any]:
    offsets = column.offsets.to_pylist()
    first, last = offsets[0], offsets[-1]
    keys = column.keys.slice(first, last - first).to_pylist()
    items = column.items.slice(first, last - first).to_pylist()
    made: list[Any] = [
        dict(
            zip(keys[start - first : end - first], items[start - first : end - first], strict=True)
        )
        for start, end in pairwise(offsets)
    ]
    for index in _nulls(column):
        made[index] = None
    return made


def _times(column: pa.Array) -> list[Any]:
    start = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc if column.type.tz else None)
    since = column.cast(pa.int64()).fill_null(0).to_numpy().view("timedelta64[us]").tolist()
    try:
        made: list[Any] = list(map(start.__add__, since))
    except OverflowError:  # Python's times end with the year 9999
        return column.cast(pa.string()).to_pylist()
    for index in _nulls(column):
        made[index] = None
    return made


def _nulls(column: pa.Array) -> Iterable[int]:
    return np.flatnonzero(column.is_null()).tolist() if column.null_count else ()
