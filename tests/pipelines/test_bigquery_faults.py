"""``bigquery.Write`` when something goes wrong at the server: exact rows or a clear stop."""

from __future__ import annotations

from collections.abc import Iterator

import apache_beam as beam
import pytest

from connectors import bigquery, retry
from connectors.bigquery_local import Fault, Server
from tests.bigquery_tables import BOTH, TABLE, batch, client, pipeline, rows, serving
from transforms.errors import ConfigError, TransientError


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Run a server with a dataset."""
    yield from serving(monkeypatch)


@BOTH
def test_column_that_came_later_is_written(server: Server, semantics: bigquery.Semantics) -> None:
    """A table that was altered since its schema was read takes the new column at once."""
    from google.cloud.bigquery import SchemaField  # noqa: PLC0415 - a second of imports

    with pipeline() as graph:
        (
            graph
            | beam.Create([batch(0, 2).drop(["kind"])])
            | bigquery.Write(TABLE, semantics=semantics, create=bigquery.Create())
        )
    table = client().get_table(TABLE)
    table.schema = [*table.schema, SchemaField("kind", "STRING")]
    client().update_table(table, ["schema"], retry=None)
    with pipeline() as graph:
        graph | beam.Create([batch(2, 2)]) | bigquery.Write(TABLE, semantics=semantics)
    found = server.query("SELECT kind FROM data.rows ORDER BY n")["kind"].to_pylist()
    assert found == [None, None, "k2", "k3"]


@BOTH
def test_unknown_column_is_a_clear_stop(server: Server, semantics: bigquery.Semantics) -> None:
    """A column that the table lacks is named; nothing is dropped in silence."""
    with pipeline() as graph:
        (
            graph
            | beam.Create([batch(0, 2).drop(["kind"])])
            | bigquery.Write(TABLE, semantics=semantics, create=bigquery.Create())
        )
    with pytest.raises(ConfigError, match="kind"), pipeline() as graph:
        graph | beam.Create([batch(2, 2)]) | bigquery.Write(TABLE, semantics=semantics)
    assert rows(server) == [0, 1]


@BOTH
def test_dropped_table_is_a_clear_stop(server: Server, semantics: bigquery.Semantics) -> None:
    """A table that goes away in the middle stops the pipeline, and the error names it."""
    with pipeline() as graph:
        (
            graph
            | beam.Create([batch(0, 2)])
            | bigquery.Write(TABLE, semantics=semantics, create=bigquery.Create())
        )
    client().delete_table(TABLE, retry=None)
    with pytest.raises(ConfigError, match=r"test-project\.data\.rows"), pipeline() as graph:
        graph | beam.Create([batch(2, 2)]) | bigquery.Write(TABLE, semantics=semantics)


@pytest.mark.parametrize(
    ("semantics", "method"),
    [
        ("at_least_once", "AppendRows"), ("at_least_once", "tables.insert"),
        ("at_least_once", "datasets.get"), ("at_least_once", "GetWriteStream"),
        ("exactly_once", "AppendRows"), ("exactly_once", "CreateWriteStream"),
        ("exactly_once", "FlushRows"),
    ],
)  # fmt: skip
def test_denied_access_stops_at_once(server: Server, semantics: str, method: str) -> None:
    """No retry helps, whatever is forbidden; the role is named."""
    server.faults.add(Fault("PERMISSION_DENIED", method=method, times=10))
    write = {"semantics": bigquery.Semantics(semantics), "create": bigquery.Create()}
    with pytest.raises(ConfigError, match=r"roles/bigquery\.dataEditor"), pipeline() as graph:
        graph | beam.Create([batch(1, 1)]) | bigquery.Write(TABLE, **write)
    assert server.faults.left() == 9


TRANSIENT = [code.name for code, kind in retry.KINDS.items() if kind is TransientError]


@pytest.mark.parametrize("code", TRANSIENT)
@pytest.mark.parametrize("after", [False, True])
def test_transient_fault_of_any_call_is_borne(server: Server, code: str, after: bool) -> None:
    """Of every other call that it takes to write exactly once."""
    methods = ["GetWriteStream", "CreateWriteStream", "FlushRows"]
    if code in ("UNAVAILABLE", "INTERNAL", "RESOURCE_EXHAUSTED"):  # as HTTP has them
        methods += ["datasets.get", "tables.insert"]
    for method in methods:
        server.faults.add(Fault(code, method=method, after=after))
    once = bigquery.Semantics.EXACTLY_ONCE
    with pipeline() as graph:
        rows_given = graph | beam.Create([batch(0, 100), batch(100, 100)], reshuffle=False)
        rows_given | bigquery.Write(TABLE, semantics=once, create=bigquery.Create())
    assert rows(server) == list(range(200))
    assert server.faults.left() == 0


@BOTH
@pytest.mark.parametrize("code", TRANSIENT)
@pytest.mark.parametrize("in_response", [False, True])
def test_transient_fault_is_borne(
    server: Server, semantics: bigquery.Semantics, code: str, in_response: bool
) -> None:
    """Nothing is lost by any fault that may pass, and exactly once nothing is repeated."""
    server.faults.add(Fault(code, in_response=in_response))
    server.faults.add(Fault(code, in_response=in_response, after=True, skip=1))
    with pipeline() as graph:
        (
            graph
            | beam.Create([batch(100 * n, 100) for n in range(6)], reshuffle=False)
            | bigquery.Write(TABLE, semantics=semantics, create=bigquery.Create())
        )
    found = rows(server)
    if semantics is bigquery.Semantics.EXACTLY_ONCE:
        assert found == list(range(600))
    assert sorted(set(found)) == list(range(600))
