"""google.cloud.bigquery.storage.v1.BigQueryRead, in Arrow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import grpc
from google.cloud.bigquery_storage_v1 import types

from connectors.bigquery_local import limits
from connectors.bigquery_local.errors import Code, Refusal
from connectors.bigquery_local.faults import Faults, strike_now
from connectors.bigquery_local.names import table_name
from connectors.bigquery_local.sessions import Session, Sessions
from connectors.bigquery_local.write_service import abort, serialized, unary

__all__ = ["read_handler"]

SERVICE = "google.cloud.bigquery.storage.v1.BigQueryRead"

_ARROW = 2
_Response = types.ReadRowsResponse.pb()


def read_handler(sessions: Sessions, faults: Faults) -> Any:
    """Return the gRPC handler of the service."""

    def create(request: Any) -> Any:
        return _create(sessions, request)

    def split(_request: Any) -> Any:
        # "An empty value indicates that the original stream can no longer be split."
        return types.SplitReadStreamResponse.pb()()

    def read(request: Any, context: Any) -> Iterator[Any]:
        try:
            fault = faults.strike("ReadRows", request.read_stream)
            strike_now(fault, after=False)
            yield from _read(sessions, request)
            strike_now(fault, after=True)
        except Exception as error:  # noqa: BLE001 - all that is no refusal is our own fault
            abort(context, error)

    handlers = {
        "CreateReadSession": unary(
            "CreateReadSession", create, types.CreateReadSessionRequest.pb(), "parent", faults
        ),
        "SplitReadStream": unary(
            "SplitReadStream", split, types.SplitReadStreamRequest.pb(), "name", faults
        ),
        "ReadRows": grpc.unary_stream_rpc_method_handler(
            read,
            request_deserializer=types.ReadRowsRequest.pb().FromString,
            response_serializer=serialized,
        ),
    }
    return grpc.method_handlers_generic_handler(SERVICE, handlers)


def _create(sessions: Sessions, request: Any) -> Any:
    wanted = request.read_session
    if wanted.data_format != _ARROW:
        raise Refusal(Code.UNIMPLEMENTED, "read_session.data_format must be ARROW here.")
    if wanted.table_modifiers.HasField("snapshot_time"):
        raise Refusal(Code.UNIMPLEMENTED, "table_modifiers.snapshot_time is not supported here.")
    options = wanted.read_options
    if options.HasField("sample_percentage"):
        raise Refusal(Code.UNIMPLEMENTED, "read_options.sample_percentage is not supported here.")
    session = sessions.create(
        request.parent,
        table_name(wanted.table),
        list(options.selected_fields),
        options.row_restriction,
        request.max_stream_count or request.preferred_min_stream_count,
    )
    return _described(session, wanted)


def _described(session: Session, wanted: Any) -> Any:
    message = types.ReadSession.pb()(
        name=session.name,
        data_format=_ARROW,
        table=wanted.table,
        read_options=wanted.read_options,
        estimated_row_count=session.rows.num_rows,
        estimated_total_bytes_scanned=session.rows.nbytes,
        trace_id=wanted.trace_id,
    )
    message.expire_time.FromMicroseconds(session.expires_us)
    message.arrow_schema.serialized_schema = session.rows.schema.serialize().to_pybytes()
    if session.rows.num_rows:
        for stream in session.streams:
            message.streams.add(name=stream)
    return message


def _read(sessions: Sessions, request: Any) -> Iterator[Any]:
    rows, total = sessions.rows(request.read_stream, request.offset)
    done = total - rows.num_rows
    first = True
    for start in range(0, rows.num_rows, limits.READ_BATCH_ROWS):
        part = rows.slice(start, limits.READ_BATCH_ROWS).combine_chunks()
        batch = part.to_batches()[0]
        response = _Response(row_count=batch.num_rows)
        response.arrow_record_batch.serialized_record_batch = batch.serialize().to_pybytes()
        response.stats.progress.at_response_start = done / total
        done += batch.num_rows
        response.stats.progress.at_response_end = done / total
        if first:
            response.arrow_schema.serialized_schema = rows.schema.serialize().to_pybytes()
            first = False
        yield response
