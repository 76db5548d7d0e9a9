"""One AppendRows connection: what it remembers from request to request."""

from __future__ import annotations

from typing import Any

from google.cloud.bigquery_storage_v1 import types
from google.rpc import status_pb2

from connectors.bigquery_local import limits
from connectors.bigquery_local.errors import Code, Refusal, RowsRefused
from connectors.bigquery_local.faults import Faults, Injected, strike_now
from connectors.bigquery_local.matching import Defaults
from connectors.bigquery_local.names import DEFAULT, StreamName, stream_name
from connectors.bigquery_local.rows_arrow import ArrowRows
from connectors.bigquery_local.rows_proto import ProtoRows
from connectors.bigquery_local.schema_proto import table_schema
from connectors.bigquery_local.tables import Table
from connectors.bigquery_local.writes import Rows, Writes

__all__ = ["Connection", "status_of"]

_Response = types.AppendRowsResponse.pb()
_StorageError = types.StorageError.pb()
_RowError = types.RowError.pb()
_NULL, _DEFAULT_VALUE = 1, 2
_FIELDS_ERROR = 1


class Connection:
    """Answers the requests of one connection, one after the other.

    A refused request does not end the connection, except where the stream or its table does not
    exist or the request names no stream: such a refusal is raised.

    Args:
        writes: the streams.
        faults: to come.
    """

    def __init__(self, writes: Writes, faults: Faults) -> None:
        self._writes, self._faults = writes, faults
        self._stream: StreamName | None = None
        self._decoder: ArrowRows | ProtoRows | None = None
        self._known = "", b""
        self._seen: dict[str, int] = {}
        self._others_default = False

    def answer(self, request: Any) -> Any:
        """Return the response to a request.

        Raises:
            Refusal: the connection ends with this status.
        """
        stream = self._target(request)
        _, table = self._writes.get(stream)
        response = _Response(write_stream=str(stream))
        self._report_schema(table, response)
        try:
            offset = self._append(stream, request, table)
        except Refusal as refusal:
            if _ends(refusal):
                raise
            _describe(refusal, response)
            return response
        response.append_result.SetInParent()
        if offset is not None:
            response.append_result.offset.value = offset
        return response

    def _target(self, request: Any) -> StreamName:
        if not request.write_stream:
            if self._stream is None:
                raise Refusal(
                    Code.INVALID_ARGUMENT,
                    "The first request of a connection must name write_stream.",
                )
            return self._stream
        stream = stream_name(request.write_stream)
        if self._stream is not None and stream != self._stream:
            if {stream.stream, self._stream.stream} != {DEFAULT}:
                raise Refusal(
                    Code.INVALID_ARGUMENT,
                    f"A connection to {self._stream} can't change to {stream}: only default "
                    "streams share a connection.",
                )
            self._decoder = None  # the schema belongs to the table
        self._stream = stream
        return stream

    def _append(self, stream: StreamName, request: Any, table: Table) -> int | None:
        # The schema of a request counts even if a fault strikes: the next may go without.
        rows = self._rows(stream, request, table)
        offset = request.offset.value if request.HasField("offset") else None
        fault = self._faults.strike("AppendRows", str(stream))
        strike_now(fault, after=False)
        start = self._writes.append(stream, offset, rows)
        strike_now(fault, after=True)
        return start

    def _rows(self, stream: StreamName, request: Any, table: Table) -> Rows:
        size = request.ByteSize()
        if size >= limits.APPEND_BYTES_MAX:
            raise Refusal(
                Code.INVALID_ARGUMENT,
                f"The request has {size} bytes; it must be less than {limits.APPEND_BYTES_MAX}.",
                entity=str(stream),
            )
        batch = self._decode(stream, request, table)
        if not batch.num_rows:
            raise Refusal(Code.INVALID_ARGUMENT, "The request has no rows.", entity=str(stream))
        rows_format = self._decoder.format if self._decoder else ""
        return Rows(batch, rows_format, self._defaults(request))

    def _decode(self, stream: StreamName, request: Any, table: Table) -> Any:
        kind = request.WhichOneof("rows")
        if kind is None:
            raise Refusal(Code.INVALID_ARGUMENT, "The request has no rows.", entity=str(stream))
        data = getattr(request, kind)
        if data.HasField("writer_schema"):
            self._learn(kind, data.writer_schema)
        if self._decoder is None or kind != f"{self._decoder.format}_rows":
            raise Refusal(
                Code.INVALID_ARGUMENT,
                f"{kind}.writer_schema must come with the first request to a table and with each "
                "change of format.",
                entity=str(stream),
            )
        if isinstance(self._decoder, ArrowRows):
            return self._decoder.decode(data.rows.serialized_record_batch)
        return self._decoder.decode(data.rows.serialized_rows, table.schema)

    def _learn(self, kind: str, schema: Any) -> None:
        """Take the schema of a request; many writers send the same one with each."""
        known = kind, schema.SerializeToString()
        if self._decoder is None or known != self._known:
            self._decoder = (
                ArrowRows(schema.serialized_schema)
                if kind == "arrow_rows"
                else ProtoRows(schema.proto_descriptor)
            )
            self._known = known

    def _defaults(self, request: Any) -> Defaults:
        if request.default_missing_value_interpretation:
            self._others_default = request.default_missing_value_interpretation == _DEFAULT_VALUE
        named = {}
        for name, value in request.missing_value_interpretations.items():
            if value not in (_NULL, _DEFAULT_VALUE):
                raise Refusal(
                    Code.INVALID_ARGUMENT,
                    f"missing_value_interpretations[{name!r}] must be NULL_VALUE or DEFAULT_VALUE.",
                )
            named[name.lower()] = value == _DEFAULT_VALUE
        return Defaults(named, self._others_default)

    def _report_schema(self, table: Table, response: Any) -> None:
        """Tell of a schema that changed since this connection last heard of the table."""
        if self._seen.setdefault(table.uid, table.version) != table.version:
            self._seen[table.uid] = table.version
            response.updated_schema.CopyFrom(table_schema(table.schema))


def _ends(refusal: Refusal) -> bool:
    if isinstance(refusal, Injected):
        return not refusal.in_response
    return refusal.code is Code.NOT_FOUND


def _describe(refusal: Refusal, response: Any) -> None:
    response.error.CopyFrom(status_of(refusal))
    if isinstance(refusal, RowsRefused):
        for index, text in list(refusal.rows.items())[: limits.ROW_ERRORS_MAX]:
            response.row_errors.append(_RowError(index=index, code=_FIELDS_ERROR, message=text))


def status_of(refusal: Refusal) -> status_pb2.Status:
    """Return a refusal as a ``google.rpc.Status``, with a ``StorageError`` where it has a code."""
    status = status_pb2.Status(code=int(refusal.code), message=str(refusal))
    if refusal.storage is not None:
        error = _StorageError(
            code=int(refusal.storage), entity=refusal.entity, error_message=str(refusal)
        )
        status.details.add().Pack(error)
    return status
