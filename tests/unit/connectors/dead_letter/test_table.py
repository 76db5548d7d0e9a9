"""Dead letters in a table of BigQuery: as they come back from there."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pyarrow as pa
import pytest

from connectors.dead_letter.table import failures_of
from connectors.table_name import TableName
from transforms.batch import Batch
from transforms.errors import PermanentError
from transforms.failure import FAILURE_SCHEMA

TABLE = TableName("my-project", "dead", "letters")
ENTRIES = pa.list_(pa.struct([pa.field("key", pa.string()), pa.field("value", pa.string())]))
TYPES = {"schema_version": pa.int64(), "delivery_attempt": pa.int64(), "attributes": ENTRIES}
TOLD = pa.schema([pa.field(each.name, TYPES.get(each.name, each.type)) for each in FAILURE_SCHEMA])


def failure(number: int, **attributes: str) -> dict[str, Any]:
    """Return a failure whose message had some attributes."""
    time = dt.datetime(2026, 1, 1, number, tzinfo=dt.timezone.utc)
    return {
        "schema_version": 1, "pipeline": "p", "step": "Parse", "error_kind": "bad", "error": "x",
        "failed_at": time, "data": b"%d" % number, "attributes": attributes, "message_id": "m",
        "publish_time": time, "ordering_key": "", "delivery_attempt": None,
    }  # fmt: skip


FAILURES = [failure(1, a="1", b="2"), failure(2), failure(3, c="3")]


def told(failures: list[dict[str, Any]]) -> Batch:
    """Return failures as BigQuery has them."""
    rows = [
        row | {"attributes": [{"key": k, "value": v} for k, v in row["attributes"].items()]}
        for row in failures
    ]
    return Batch.from_pylist(rows, TOLD)


@pytest.mark.parametrize("start", range(4))
def test_failures_are_as_they_were(start: int) -> None:
    """Also those of a part of a batch, whose entries are those of the whole."""
    found = failures_of(told(FAILURES).slice(start, 3 - start), TABLE)
    assert found.schema.equals(FAILURE_SCHEMA)
    expected = [row | {"attributes": list(row["attributes"].items())} for row in FAILURES[start:]]
    assert found.to_pylist() == expected


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("attributes", pa.string()),
        ("attributes", pa.list_(pa.struct([("name", pa.string())]))),
        ("error", pa.list_(pa.string())),
    ],
)
def test_column_of_another_type_is_named(name: str, kind: pa.DataType) -> None:
    """A table that has the columns' names by chance is no table of dead letters."""
    rows = told(FAILURES).with_column(name, pa.nulls(3, kind))
    with pytest.raises(PermanentError, match=rf"my-project\.dead\.letters.*{name} is"):
        failures_of(rows, TABLE)
