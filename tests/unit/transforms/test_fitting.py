"""Dictionaries to columns: what fits, what doesn't, and that one misfit harms no other row."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from transforms import kinds
from transforms.fitting import fit

SCHEMA = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("count", pa.int32()),
        pa.field("place", pa.struct([pa.field("x", pa.float64(), nullable=False)])),
        pa.field("tags", pa.list_(pa.field("item", pa.string(), nullable=False))),
        pa.field("day", pa.date32()),
        pa.field("price", pa.decimal128(5, 2)),
        pa.field("at", pa.timestamp("us", tz="UTC")),
        pa.field("labels", pa.map_(pa.string(), pa.string())),
    ]
)


class Hostile:
    """An object that raises whenever Arrow looks at it."""

    def __len__(self) -> int:
        raise RuntimeError("no length")

    def __int__(self) -> int:
        raise RuntimeError("no number")


def test_rows_become_columns() -> None:
    """A missing key is null, a surplus key is ignored."""
    full = {
        "id": "b",
        "count": np.int32(5),
        "place": {"x": 1},
        "tags": ("c", "d"),
        "day": dt.date(2024, 1, 1),
        "price": 7,
        "at": dt.datetime(2024, 1, 1, tzinfo=dt.timezone.utc),
        "labels": [("k", "v")],
    }
    batch, errors = fit([{"id": "a", "z": 1}, full], SCHEMA)
    assert errors == {}
    bare, other = batch.to_pylist()
    assert bare == dict.fromkeys(SCHEMA.names) | {"id": "a"}
    assert other == full | {"tags": ["c", "d"]}


def test_no_rows() -> None:
    """No rows make an empty batch of the schema."""
    batch, errors = fit([], SCHEMA)
    assert (len(batch), batch.schema, errors) == (0, SCHEMA, {})


@pytest.mark.parametrize(
    ("row", "kind", "reason"),
    [
        ({"id": 5}, kinds.WRONG_TYPE, "at `$.id`"),
        ({"id": "a", "count": "12"}, kinds.WRONG_TYPE, "at `$.count`"),
        ({"id": "a", "count": 2**31}, kinds.OUT_OF_RANGE, "at `$.count`"),
        ({"id": "a", "count": 2**100}, kinds.OUT_OF_RANGE, "at `$.count`"),
        ({"id": "a", "count": 9.5}, kinds.WRONG_TYPE, "got `float` - at `$.count`"),
        ({"id": "a", "count": 9.0}, kinds.WRONG_TYPE, "got `float` - at `$.count`"),
        ({"id": "a", "count": True}, kinds.WRONG_TYPE, "got `bool` - at `$.count`"),
        ({"id": "a", "place": {"x": True}}, kinds.WRONG_TYPE, "got `bool` - at `$.place`"),
        ({"id": "a", "place": {"x": "1"}}, kinds.WRONG_TYPE, "got `str` - at `$.place`"),
        ({"id": "a", "tags": "abc"}, kinds.WRONG_TYPE, "got `str` - at `$.tags`"),
        ({"id": "a", "tags": [1]}, kinds.WRONG_TYPE, "got `int` - at `$.tags`"),
        ({"id": "a", "day": dt.datetime(2024, 1, 1, 5)}, kinds.WRONG_TYPE, "got `datetime`"),
        ({"id": "a", "price": Decimal("1.555")}, kinds.OUT_OF_RANGE, "at `$.price`"),
        ({"id": "a", "price": Decimal("1e-500000000")}, kinds.OUT_OF_RANGE, "at `$.price`"),
        ({"id": "a", "price": Decimal("1." + "0" * 500 + "1")}, kinds.OUT_OF_RANGE, "`$.price`"),
        ({"id": "a", "price": Decimal("NaN")}, kinds.WRONG_TYPE, "at `$.price`"),
        ({"id": "a", "price": 1.5}, kinds.WRONG_TYPE, "got `float` - at `$.price`"),
        ({"id": "a", "at": 5}, kinds.WRONG_TYPE, "got `int` - at `$.at`"),
        ({"id": "a", "at": "2024-01-01"}, kinds.WRONG_TYPE, "got `str` - at `$.at`"),
        ({"id": "a", "count": Hostile()}, kinds.WRONG_TYPE, "at `$.count`"),
        ({"id": "\ud800"}, kinds.WRONG_TYPE, "at `$.id`"),
        ({"id": "a", "place": 1}, kinds.WRONG_TYPE, "at `$.place`"),
        ({"id": "a", "day": "2024-01-01"}, kinds.WRONG_TYPE, "at `$.day`"),
        ({}, kinds.MISSING_FIELD, "A value is missing - at `$.id`"),
        ({"id": "a", "place": {}}, kinds.MISSING_FIELD, "A value is missing - at `$.place.x`"),
        ({"id": "a", "tags": ["b", None]}, kinds.MISSING_FIELD, "at `$.tags[].item`"),
        ([], kinds.WRONG_TYPE, "is a list, not a dictionary"),
        (None, kinds.WRONG_TYPE, "is a NoneType, not a dictionary"),
    ],
)
def test_misfit_is_told_and_harms_no_other(row: Any, kind: str, reason: str) -> None:
    """The rows around a misfit are kept, in order."""
    good = [{"id": str(index), "tags": ["t"], "place": None} for index in range(9)]
    rows = [*good[:4], row, *good[4:7], row, *good[7:]]
    batch, errors = fit(rows, SCHEMA)
    assert batch.column("id").to_pylist() == [str(index) for index in range(9)]
    assert sorted(errors) == [4, 8]
    assert all(error[0] == kind and reason in error[1] for error in errors.values())


def test_misfits_of_both_sorts_keep_their_index() -> None:
    """A row that Arrow refuses before one that lacks a value doesn't shift it."""
    batch, errors = fit([{"id": 1}, {"id": "a"}, {}, {"id": 2}, {"id": "b"}, {}], SCHEMA)
    assert batch.column("id").to_pylist() == ["a", "b"]
    assert {index: kind for index, (kind, _) in errors.items()} == {
        0: kinds.WRONG_TYPE,
        2: kinds.MISSING_FIELD,
        3: kinds.WRONG_TYPE,
        5: kinds.MISSING_FIELD,
    }
