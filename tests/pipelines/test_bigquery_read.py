"""``bigquery.Read`` in a graph, against the strict local server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import pyarrow as pa
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing.util import assert_that

from connectors import bigquery
from connectors.bigquery.session import session
from connectors.bigquery_local import Fault, Server
from connectors.clients import bigquery_endpoint, open_bigquery
from connectors.table_name import TableName
from runners.local import LocalRunner
from transforms.batch import Batch
from transforms.errors import ConfigError

PROJECT = "test-project"
TABLE = f"{PROJECT}.data.rows"
COUNT = 5_000


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with Server(project=PROJECT) as running:
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", running.rest_endpoint)
        monkeypatch.setenv("BIGQUERY_STORAGE_EMULATOR_HOST", running.grpc_endpoint)
        open_bigquery(bigquery_endpoint(), PROJECT).create_dataset("data", retry=None)
        write(
            pa.RecordBatch.from_pydict({"n": range(COUNT), "text": [f"t{n}" for n in range(COUNT)]})
        )
        yield running
        session().close()


def pipeline() -> beam.Pipeline:
    return beam.Pipeline(runner=LocalRunner(), options=PipelineOptions([]))


def write(rows: pa.RecordBatch) -> None:
    with pipeline() as graph:
        graph | beam.Create([Batch(rows)]) | bigquery.Write(TABLE, create=bigquery.Create())


def check(wanted: list[dict[str, Any]], **options: Any) -> None:
    """Read and compare."""

    def holds(found: list[Batch]) -> None:
        rows = [row for batch in found for row in batch.to_pylist()]
        assert sorted(rows, key=lambda row: row["n"]) == wanted

    with pipeline() as graph:
        assert_that(graph | bigquery.Read(TABLE, **options), holds)


EVERYTHING = [{"n": n, "text": f"t{n}"} for n in range(COUNT)]


@pytest.mark.parametrize("streams_max", [0, 1, 4])
def test_each_row_once(server: Server, streams_max: int) -> None:
    """However many streams share the work."""
    check(EVERYTHING, streams_max=streams_max)


def test_columns_and_condition(server: Server) -> None:
    """Only what is asked for is read, so that only that is paid for."""
    check([{"n": n} for n in range(100)], columns=["n"], where="n < 100")


def test_empty_result(server: Server) -> None:
    """No rows are no error."""
    check([], where="n < 0")


@pytest.mark.parametrize("after", [False, True])
def test_broken_connection_goes_on_where_it_was(server: Server, after: bool) -> None:
    """Rows that came before the break are not read again."""
    server.faults.add(Fault("UNAVAILABLE", method="ReadRows", times=3, after=after))
    server.faults.add(Fault("UNAVAILABLE", method="CreateReadSession"))
    check(EVERYTHING, streams_max=2)
    assert server.faults.left() == 0


def test_denied_access_is_told(server: Server) -> None:
    """No retry helps."""
    server.faults.add(Fault("PERMISSION_DENIED", method="ReadRows", times=9))
    with pytest.raises(ConfigError, match=r"access is denied.*dataViewer and .*readSessionUser"):
        check([])


@pytest.mark.parametrize(
    ("options", "words"), [({"columns": "n"}, "list of names"), ({"streams_max": -1}, "below 0")]
)
def test_bad_argument_is_refused(options: dict[str, Any], words: str) -> None:
    """Before anything is asked of the server."""
    with pytest.raises(ConfigError, match=words):
        bigquery.Read(TABLE, **options)


def test_missing_column_is_told_before_the_start(server: Server) -> None:
    """With those that there are; names go in any case."""
    check(EVERYTHING, columns=["N", "text"])
    with pytest.raises(ConfigError, match=r"^columns='n,gone': names gone.*Use some of n, text"):
        pipeline() | bigquery.Read(TABLE, columns=["n", "gone"])


def test_reader_needs_no_right_to_write(server: Server) -> None:
    """Nothing of the Write API is asked for."""
    server.faults.add(Fault("PERMISSION_DENIED", method="GetWriteStream", times=9))
    server.faults.add(Fault("PERMISSION_DENIED", method="CreateWriteStream", times=9))
    session().forget(TableName.parse(TABLE))
    check(EVERYTHING)


def test_missing_table_is_told_before_the_start(server: Server) -> None:
    """The graph is not even built."""
    with pytest.raises(ConfigError, match="does not exist"):
        pipeline() | bigquery.Read(f"{PROJECT}.data.gone")
