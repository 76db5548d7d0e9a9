"""google.cloud.bigquery.storage.v1.BigQueryWrite: protocol buffers to the streams and back."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Any

import grpc
from google.cloud.bigquery_storage_v1 import types

from connectors.bigquery_local.append import Connection, status_of
from connectors.bigquery_local.errors import Code, Refusal
from connectors.bigquery_local.faults import Faults, strike_now
from connectors.bigquery_local.names import stream_name, table_name
from connectors.bigquery_local.schema_proto import table_schema
from connectors.bigquery_local.streams import Kind, Stream
from connectors.bigquery_local.tables import Table
from connectors.bigquery_local.writes import Writes

__all__ = ["abort", "serialized", "unary", "write_handler"]

SERVICE = "google.cloud.bigquery.storage.v1.BigQueryWrite"

_log = logging.getLogger(__name__)
_WriteStream = types.WriteStream.pb()
_INSERT, _FULL = 1, 2
_STATUS = {code.value[0]: code for code in grpc.StatusCode}


def write_handler(writes: Writes, faults: Faults) -> Any:
    """Return the gRPC handler of the service."""
    service = _Service(writes)
    methods = {
        "CreateWriteStream": (service.create, types.CreateWriteStreamRequest, "parent"),
        "GetWriteStream": (service.get, types.GetWriteStreamRequest, "name"),
        "FinalizeWriteStream": (service.finalize, types.FinalizeWriteStreamRequest, "name"),
        "BatchCommitWriteStreams": (
            service.commit,
            types.BatchCommitWriteStreamsRequest,
            "parent",
        ),
        "FlushRows": (service.flush, types.FlushRowsRequest, "write_stream"),
    }
    handlers = {
        name: unary(name, method, request.pb(), target, faults)
        for name, (method, request, target) in methods.items()
    }

    def append(requests: Iterator[Any], context: Any) -> Iterator[Any]:
        connection = Connection(writes, faults)
        try:
            for request in requests:
                yield connection.answer(request)
        except grpc.RpcError:
            return  # the client has gone: there is nobody to tell
        except Exception as error:  # noqa: BLE001 - all that is no refusal is our own fault
            abort(context, error)

    handlers["AppendRows"] = grpc.stream_stream_rpc_method_handler(
        append,
        request_deserializer=types.AppendRowsRequest.pb().FromString,
        response_serializer=serialized,
    )
    return grpc.method_handlers_generic_handler(SERVICE, handlers)


def unary(
    name: str, method: Callable[[Any], Any], request: Any, target: str, faults: Faults
) -> Any:
    """Return the handler of a method with one request and one response.

    Args:
        name: of the method.
        method: takes the request and returns the response.
        request: type of the request.
        target: field of the request that faults look at.
        faults: to come.
    """

    def call(message: Any, context: Any) -> Any:
        try:
            fault = faults.strike(name, getattr(message, target))
            strike_now(fault, after=False)
            response = method(message)
            strike_now(fault, after=True)
        except Exception as error:  # noqa: BLE001 - all that is no refusal is our own fault
            abort(context, error)
        return response

    return grpc.unary_unary_rpc_method_handler(
        call, request_deserializer=request.FromString, response_serializer=serialized
    )


def abort(context: Any, error: Exception) -> None:
    """End a call with the status of a refusal; log what should never have happened."""
    if not isinstance(error, Refusal):
        _log.error("a request has failed", exc_info=error)
        error = Refusal(Code.INTERNAL, f"The server has failed: {error!r}")
    status = status_of(error)
    details = (("grpc-status-details-bin", status.SerializeToString()),)
    context.set_trailing_metadata(details)
    context.abort(_STATUS[int(error.code)], str(error))


class _Service:
    """The methods with one request and one response."""

    def __init__(self, writes: Writes) -> None:
        self._writes = writes

    def create(self, request: Any) -> Any:
        wanted = request.write_stream.type_
        if wanted not in {kind.value for kind in Kind}:
            raise Refusal(
                Code.INVALID_ARGUMENT,
                f"write_stream.type is {wanted}: it must be COMMITTED, PENDING or BUFFERED.",
            )
        stream = self._writes.create(table_name(request.parent), Kind(wanted))
        _, table = self._writes.get(stream_name(stream.name))
        return _described(stream, table, schema=True)

    def get(self, request: Any) -> Any:
        stream, table = self._writes.get(stream_name(request.name))
        return _described(stream, table, schema=request.view == _FULL)

    def finalize(self, request: Any) -> Any:
        rows = self._writes.finalize(stream_name(request.name))
        return types.FinalizeWriteStreamResponse.pb()(row_count=rows)

    def flush(self, request: Any) -> Any:
        name = stream_name(request.write_stream)
        if not request.HasField("offset"):
            raise Refusal(Code.INVALID_ARGUMENT, "FlushRows needs an offset.", entity=str(name))
        offset = self._writes.flush(name, request.offset.value)
        return types.FlushRowsResponse.pb()(offset=offset)

    def commit(self, request: Any) -> Any:
        if not request.write_streams:
            raise Refusal(Code.INVALID_ARGUMENT, "BatchCommitWriteStreams names no streams.")
        names = [stream_name(text) for text in request.write_streams]
        outcome = self._writes.commit(table_name(request.parent), names)
        response = types.BatchCommitWriteStreamsResponse.pb()()
        if isinstance(outcome, int):
            response.commit_time.FromMicroseconds(outcome)
            return response
        for code, stream, text in outcome:
            response.stream_errors.add(code=int(code), entity=stream, error_message=text)
        return response


def _described(stream: Stream, table: Table, *, schema: bool) -> Any:
    message = _WriteStream(
        name=stream.name, type_=stream.kind.value, write_mode=_INSERT, location="us"
    )
    message.create_time.FromMicroseconds(stream.created_us)
    shown_us = stream.created_us if stream.kind is Kind.COMMITTED else stream.committed_us
    if shown_us:
        message.commit_time.FromMicroseconds(shown_us)
    if schema:
        message.table_schema.CopyFrom(table_schema(table.schema))
    return message


def serialized(message: Any) -> bytes:
    """Return the bytes of a response."""
    return bytes(message.SerializeToString())
