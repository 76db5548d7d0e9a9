"""``bigquery.Read``: a table, or a part of it, as batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import apache_beam as beam
import grpc
import pyarrow as pa
from apache_beam.runners.dataflow.dataflow_runner import DataflowRunner
from google.cloud.bigquery_storage_v1 import types as api

from connectors import retry
from connectors.bigquery.patience import Patience
from connectors.bigquery.session import OUTAGE, Session, session
from connectors.bigquery.tables import table_columns
from connectors.table_name import TableName
from transforms.batch import Batch
from transforms.errors import ConfigError, TransientError
from transforms.metrics import ROWS_READ

__all__ = ["Read", "Selection", "read_stream"]

SERVICE = "google.cloud.bigquery.storage.v1.BigQueryRead"
_Response = api.ReadRowsResponse.pb()


@dataclass(frozen=True)
class Selection:
    """What is read: some columns, and the rows for which a condition of SQL holds."""

    table: TableName
    columns: tuple[str, ...] = ()
    where: str = ""
    streams_max: int = 0

    def request(self) -> Any:
        """Return the ``CreateReadSessionRequest``."""
        request = api.CreateReadSessionRequest.pb()(
            parent=f"projects/{self.table.project}", max_stream_count=self.streams_max
        )
        request.read_session.table = self.table.path
        request.read_session.data_format = api.DataFormat.ARROW.value
        request.read_session.read_options.selected_fields.extend(self.columns)
        request.read_session.read_options.row_restriction = self.where
        return request


class Read(beam.PTransform):
    """Read the rows that a table holds when the step begins.

        flights = pipeline | bigquery.Read("my-project.flights.departures", where="delay > 60")

    Guarantees:
        Each row once, of one snapshot of the table. Order: none. Bounded. The streams are read in
        parallel, each by one worker, from where it was after a broken connection. BigQuery keeps a
        snapshot for six hours; what is not read by then is an error.
        Memory: one batch of BigQuery's own size (about a megabyte) for each stream.

    Args:
        table: ``PROJECT.DATASET.TABLE``. A view can't be read so: query it into a table.
        columns: to read, in the table's order; all by default. They cost, others don't.
        where: a condition in BigQuery's SQL, such as ``delay > 60 AND carrier = 'UA'``.
        streams_max: how many workers can share the work; 0 leaves it to BigQuery.

    Raises:
        ConfigError: an argument is against the rules, or (but on Dataflow) the table or one of the
            columns is missing.
        TransientError: nobody answers.
    """

    def __init__(
        self, table: str, *, columns: Sequence[str] = (), where: str = "", streams_max: int = 0
    ) -> None:
        super().__init__()
        if isinstance(columns, str):
            raise ConfigError("columns", columns, "must be a list of names", f"Write [{columns!r}]")
        if streams_max < 0:
            raise ConfigError("streams_max", streams_max, "must not be below 0", "Leave it out")
        self._selection = Selection(TableName.parse(table), tuple(columns), where, streams_max)

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection[Batch]:
        """Wire it: a session, its streams, and a reader of each."""
        if not isinstance(begin.pipeline.runner, DataflowRunner):
            _require(self._selection)
        table = self._selection.table
        return (
            begin
            | "Selection" >> beam.Create([self._selection], reshuffle=False)
            | "Session" >> beam.ParDo(_Open()).with_output_types(tuple[str, bytes])
            | "Streams" >> beam.Reshuffle()
            | "Read" >> beam.ParDo(_ReadStream(table)).with_output_types(Batch)
        )


def _require(selection: Selection) -> None:
    """Refuse a table, or columns of it, that are not there."""
    known = table_columns(selection.table)
    folded = {name.casefold() for name in known}
    for column in selection.columns:
        if column.partition(".")[0].casefold() not in folded:
            raise ConfigError(
                "columns", ",".join(selection.columns),
                f"names {column}, which is no column of {selection.table}",
                f"Use some of {', '.join(known)}",
            )  # fmt: skip


def _subject(opened: Session, table: TableName) -> retry.Subject:
    return retry.Subject(
        "table", str(table), "Give the name of one that is there", opened.endpoint.advice,
        "roles/bigquery.dataViewer and roles/bigquery.readSessionUser",
        "BIGQUERY_STORAGE_EMULATOR_HOST",
    )  # fmt: skip


class _Open(beam.DoFn):
    """Opens the session; the shuffle behind it keeps its streams for every later attempt."""

    def process(self, selection: Selection) -> Iterator[tuple[str, bytes]]:
        request = selection.request()
        routing = ("read_session.table", selection.table.path)
        subject = _subject(session(), selection.table)
        answer = session().call("CreateReadSession", request, routing, subject, service=SERVICE)
        opened = api.ReadSession.pb().FromString(answer)
        for stream in opened.streams:
            yield stream.name, opened.arrow_schema.serialized_schema


class _ReadStream(beam.DoFn):
    def __init__(self, table: TableName) -> None:
        self._table = table

    def process(self, element: tuple[str, bytes]) -> Iterator[Batch]:
        stream, encoded = element
        schema = pa.ipc.read_schema(pa.py_buffer(encoded))
        for rows in read_stream(session(), self._table, stream, schema):
            ROWS_READ.inc(len(rows))
            yield Batch(rows)


def read_stream(
    opened: Session,
    table: TableName,
    stream: str,
    schema: pa.Schema,
    outage: retry.Backoff = OUTAGE,
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a stream; go on behind the last batch when the connection breaks.

    Args:
        opened: with the server.
        table: for the text of errors.
        stream: of a read session.
        schema: of the session's rows.
        outage: how long transient errors are borne, from the first one after a batch.

    Raises:
        HeadraceError: the stream can't be read to its end.
    """
    read = opened.channel.unary_stream(f"/{SERVICE}/ReadRows", None, _Response.FromString)
    metadata = (("x-goog-request-params", f"read_stream={quote(stream, safe='')}"),)
    patience = Patience(outage)
    offset = 0
    while True:
        request = api.ReadRowsRequest.pb()(read_stream=stream, offset=offset)
        try:
            for answer in read(request.SerializeToString(), metadata=metadata):
                patience.restore()
                offset += answer.row_count
                if answer.row_count:
                    body = answer.arrow_record_batch.serialized_record_batch
                    yield pa.ipc.read_record_batch(pa.py_buffer(body), schema)
        except (grpc.RpcError, TransientError) as error:
            patience.bear(retry.translate(error, _subject(opened, table)))
        else:
            return
