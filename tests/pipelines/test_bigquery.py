"""``bigquery.Write`` in a graph, against the strict local server."""

from __future__ import annotations

import datetime as dt
import decimal
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import apache_beam as beam
import pyarrow as pa
import pytest
from apache_beam.testing.util import assert_that
from apache_beam.transforms.window import FixedWindows, SlidingWindows, TimestampedValue

from connectors import bigquery
from connectors.bigquery.at_least_once import AppendBatches
from connectors.bigquery_local import Server
from runners.local import LocalRunner
from tests.bigquery_tables import BOTH, TABLE, batch, client, pipeline, rows, serving
from transforms.batch import Batch
from transforms.errors import ConfigError
from transforms.field import attribute, column, message


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Run a server with a dataset."""
    yield from serving(monkeypatch)


def holds(check: Callable[[list[Batch]], bool]) -> Callable[[list[Batch]], None]:
    def matcher(found: list[Batch]) -> None:
        assert check(found), found

    return matcher


RECORD = pa.struct([("a", pa.int8()), ("b", pa.list_(pa.string()))])
EVERY_TYPE = pa.RecordBatch.from_pydict(
    {
        "n": pa.array([1, None], pa.int32()),
        "f": pa.array([0.1, None], pa.float64()),
        "flag": pa.array([True, None]),
        "s": pa.array(["é\u0000x", None]).dictionary_encode(),
        "b": pa.array([b"\x00\xff", None]),
        "num": pa.array([decimal.Decimal("-1.000000001"), None], pa.decimal128(38, 9)),
        "big": pa.array([decimal.Decimal("1e-38"), None], pa.decimal256(76, 38)),
        "ts": pa.array([dt.datetime(1, 1, 1), None], pa.timestamp("us", tz="UTC")),
        "at": pa.array([dt.datetime(9999, 12, 31, 23, 59, 59, 999_999), None], pa.timestamp("us")),
        "d": pa.array([dt.date(9999, 12, 31), None]),
        "t": pa.array([dt.time(23, 59, 59, 999_999), None], pa.time64("us")),
        "j": pa.array(['{"a": [1]}', None], pa.json_()),
        "r": pa.array([{"a": 1, "b": ["x"]}, None], RECORD),
        "l": pa.array([[{"k": 1}, {"k": None}], None], pa.list_(pa.struct([("k", pa.int64())]))),
        "m": pa.array([[("a", "b")], None], pa.map_(pa.string(), pa.string())),
    }
)  # fmt: skip


@BOTH
def test_every_type_arrives(server: Server, semantics: bigquery.Semantics) -> None:
    """Edges and nulls of each type are read as they were written."""
    with pipeline() as graph:
        written = graph | beam.Create([Batch(EVERY_TYPE)]) | bigquery.Write(
            TABLE, semantics=semantics, create=bigquery.Create()
        )  # fmt: skip
        assert_that(written.dead, holds(lambda found: not found))
    full, empty = server.query("SELECT * FROM data.rows ORDER BY n NULLS LAST").to_pylist()
    assert full["num"] == decimal.Decimal("-1.000000001")
    assert decimal.Decimal(full["big"]) == decimal.Decimal("1e-38")
    assert full["ts"].replace(tzinfo=None) == dt.datetime(1, 1, 1)
    assert full["at"] == dt.datetime(9999, 12, 31, 23, 59, 59, 999_999)
    assert (full["d"], full["t"]) == (dt.date(9999, 12, 31), dt.time(23, 59, 59, 999_999))
    assert (full["s"], full["b"], full["f"]) == ("é\u0000x", b"\x00\xff", 0.1)
    assert json.loads(full["j"]) == {"a": [1]}
    assert full["r"] == {"a": 1, "b": ["x"]}
    assert full["l"] == [{"k": 1}, {"k": None}]
    assert full["m"] == [{"key": "a", "value": "b"}]
    assert {name for name, value in empty.items() if value is not None} == {"l", "m"}
    assert empty["l"] == empty["m"] == []


@BOTH
def test_rows_keep_their_windows(server: Server, semantics: bigquery.Semantics) -> None:
    """What comes out of ``ok`` can be counted by the windows that it came in with."""
    with pipeline() as graph:
        written = (
            graph
            | beam.Create([TimestampedValue(batch(10 * n, 10), 10 * n) for n in range(4)])
            | beam.WindowInto(FixedWindows(20))
            | bigquery.Write(TABLE, semantics=semantics, create=bigquery.Create())
        )
        sizes = (
            written.ok
            | beam.Map(lambda found: (0, len(found)))
            | beam.CombinePerKey(sum)
            | beam.Map(lambda pair, window=beam.DoFn.WindowParam: (float(window.start), pair[1]))
        )
        assert_that(sizes, holds(lambda found: sorted(found) == [(0.0, 20), (20.0, 20)]))
    assert rows(server) == list(range(40))


@BOTH
def test_batch_in_two_windows_is_written_once(
    server: Server, semantics: bigquery.Semantics
) -> None:
    """Sliding windows hold a row twice; a table holds it once."""
    with pipeline() as graph:
        (
            graph
            | beam.Create([TimestampedValue(batch(0, 10), 5)])
            | beam.WindowInto(SlidingWindows(20, 10))
            | bigquery.Write(TABLE, semantics=semantics, create=bigquery.Create())
        )
    assert rows(server) == list(range(10))


@BOTH
def test_more_tables_than_streams(server: Server, semantics: bigquery.Semantics) -> None:
    """However many tables rows name, few connections are open at a time, and all rows arrive."""
    with pipeline() as graph:
        written = (
            graph
            | beam.Create([batch(100 * n, 100) for n in range(5)], reshuffle=False)
            | bigquery.Write(
                TABLE + "_{kind}", semantics=semantics, streams_max=2,
                create=bigquery.Create(),
            )
        )  # fmt: skip
        counted = written.ok | beam.Map(len) | beam.CombineGlobally(sum)
        assert_that(counted, holds(lambda found: found == [500]))
    assert rows(server, "rows_k3") == list(range(3, 500, 4))


@BOTH
def test_columns_of_the_message(server: Server, semantics: bigquery.Semantics) -> None:
    """Id, time, key and attributes are kept when asked for; attributes as JSON."""
    wanted = ("message_id", "publish_time", "ordering_key", "attributes")
    with pipeline() as graph:
        graph | beam.Create([batch(7, 1)]) | bigquery.Write(
            TABLE, semantics=semantics, create=bigquery.Create(),
            add={name: message(name) for name in wanted} | {"key": attribute("key")},
        )  # fmt: skip
    (row,) = server.query("SELECT * FROM data.rows").to_pylist()
    assert row["message_id"] == "7"
    assert row["publish_time"].isoformat() == "2026-01-01T00:00:07+00:00"
    assert row["ordering_key"] == ""
    assert json.loads(row["attributes"]) == {"key": "k7"}
    assert row["key"] == "k7"
    kinds = {field.name: field.field_type for field in client().get_table(TABLE).schema}
    assert kinds["attributes"] == "JSON"


def test_attributes_go_to_a_record_where_the_table_has_one(server: Server) -> None:
    """The table says in which form it wants a map."""
    from google.cloud.bigquery import SchemaField, Table  # noqa: PLC0415 - a second of imports

    pair = [SchemaField("key", "STRING", "REQUIRED"), SchemaField("value", "STRING")]
    columns = [
        SchemaField("n", "INTEGER"),
        SchemaField("attributes", "RECORD", "REPEATED", fields=pair),
    ]
    client().create_table(Table(TABLE, columns), retry=None)
    one = batch(7, 1).drop(["kind"])
    with pipeline() as graph:
        (
            graph
            | beam.Create([one])
            | bigquery.Write(TABLE, add={"attributes": message("attributes")})
        )
    (row,) = server.query("SELECT * FROM data.rows").to_pylist()
    assert row["attributes"] == [{"key": "key", "value": "k7"}]


def test_row_without_a_message_is_dead_as_json(server: Server) -> None:
    """Aggregates come from no message: their columns are kept."""
    days = pa.array([0, 4_000_000], pa.int32()).cast(pa.date32())
    with pipeline() as graph:
        written = graph | beam.Create([Batch(pa.RecordBatch.from_pydict({"d": days}))]) | (
            bigquery.Write(TABLE, create=bigquery.Create())
        )  # fmt: skip
        assert_that(
            written.dead,
            holds(
                lambda found: [each["data"] for each in found[0].to_pylist()] == [b'{"d": 4000000}']
            ),
        )
    assert server.query("SELECT count(*) AS n FROM data.rows")["n"].to_pylist() == [1]


def test_changes_are_upserts_and_deletes(server: Server) -> None:
    """The latest change of a key counts, whatever the order; what is no change is dead."""
    given = pa.RecordBatch.from_pydict(
        {
            "id": [1, 2, 1, 3, 3, 4],
            "text": ["old", "gone", "new", "late", "later", "?"],
            "op": ["UPSERT", "DELETE", "upsert", "UPSERT", "UPSERT", "MERGE"],
            "at": [1, 5, 2, 9, 11, 1],
        }
    )
    changes = bigquery.Changes(column("op"), column("at"))
    create = bigquery.Create(
        primary_key=("id",),
        schema=pa.schema([pa.field("id", pa.int64(), False), ("text", pa.string())]),
    )
    with pipeline() as graph:
        written = graph | beam.Create([Batch(given)]) | (
            bigquery.Write(TABLE, changes=changes, create=create)
        )  # fmt: skip
        assert_that(written.dead, holds(lambda found: [len(each) for each in found] == [1]))
    found = server.query("SELECT id, text FROM data.rows ORDER BY id").to_pylist()
    assert found == [{"id": 1, "text": "new"}, {"id": 3, "text": "later"}]


def test_changes_need_at_least_once() -> None:
    """BigQuery takes changes on default streams alone; this is told before the start."""
    with pytest.raises(ConfigError, match="upserts"):
        bigquery.Write(
            TABLE, changes=bigquery.Changes(column("op")),
            semantics=bigquery.Semantics.EXACTLY_ONCE,
        )  # fmt: skip


@pytest.mark.parametrize(("name", "value"), [("shards", 0), ("streams_max", 0)])
def test_number_below_one_is_refused(name: str, value: int) -> None:
    """The error names parameter and rule."""
    with pytest.raises(ConfigError, match=name):
        bigquery.Write(TABLE, **{name: value})  # type: ignore[arg-type]


def test_missing_table_is_told_before_the_start(server: Server, tmp_path: Path) -> None:
    """The graph is not even built."""
    with pytest.raises(ConfigError, match="does not exist"):
        beam.Pipeline(runner=LocalRunner()) | beam.Create([batch(0, 1)]) | bigquery.Write(TABLE)


def test_bytes_under_way_are_bounded_over_all_tables(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With room for nearly nothing, a step waits for answers before it sends more; all arrives."""
    monkeypatch.setattr("connectors.bigquery.limits.IN_FLIGHT_BYTES_TOTAL_MAX", 1)
    most: list[int] = []
    told = AppendBatches._bytes

    def seen(step: AppendBatches) -> int:
        most.append(sum(len(stream._under_way) for stream in step._streams.values()))
        return told(step)

    monkeypatch.setattr(AppendBatches, "_bytes", seen)
    with pipeline() as graph:
        (
            graph
            | beam.Create([batch(100 * n, 100) for n in range(5)], reshuffle=False)
            | bigquery.Write(TABLE + "_{kind}", create=bigquery.Create())
        )
    assert rows(server, "rows_k1") == list(range(1, 500, 4))
    assert max(most) == 1
