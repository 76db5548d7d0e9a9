"""The Storage Write protocol of one table, in memory, with faults that a test chooses.

It knows streams, offsets and flushes, and no more: for how each of them is answered when something
goes wrong. ``connectors.bigquery_local`` is the server to test whole pipelines with.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import grpc
import pyarrow as pa
from google.cloud.bigquery_storage_v1 import types as api

Request = api.AppendRowsRequest.pb()
Response = api.AppendRowsResponse.pb()
Hook = Callable[[str, int | None, pa.RecordBatch], Any]

TABLE = "project-1.data.rows"
PATH = "projects/project-1/datasets/data/tables/rows"


class HangupError(Exception):
    """Raised by a hook: the call ends without an answer."""


@dataclass
class Stream:
    """Rows in the order of their offsets; those behind ``visible`` were not flushed."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    visible: int = 0


class FakeTable:
    """A table of columns ``id INTEGER REQUIRED`` and ``text STRING``, or of other ones.

    Attributes:
        before: called before each append with stream, offset and rows; it returns an answer to be
            given instead, or None, or raises ``HangupError``.
        after: the same behind it.
    """

    def __init__(self, *columns: tuple[str, str, str]) -> None:
        self.columns = columns or (("id", "INT64", "REQUIRED"), ("text", "STRING", "NULLABLE"))
        self.streams: dict[str, Stream] = {f"{PATH}/streams/_default": Stream()}
        self.before: Hook = lambda *_: None
        self.after: Hook = lambda *_: None
        self.requests: list[tuple[str, int | None, int]] = []
        self.connections = 0
        self.lock = threading.Lock()

    def visible(self) -> list[dict[str, Any]]:
        """Return the rows that a reader sees."""
        return [
            row
            for name, stream in self.streams.items()
            for row in (stream.rows if name.endswith("_default") else stream.rows[: stream.visible])
        ]

    def ids(self) -> list[int]:
        """Return the visible ids, sorted."""
        return sorted(row["id"] for row in self.visible())

    def schema(self) -> Any:
        """Return the ``TableSchema``."""
        fields = [
            api.TableFieldSchema(
                name=name, type_=api.TableFieldSchema.Type[kind],
                mode=api.TableFieldSchema.Mode[mode],
            )
            for name, kind, mode in self.columns
        ]  # fmt: skip
        return api.TableSchema.pb(api.TableSchema(fields=fields))

    def append(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        """Serve AppendRows."""
        self.connections += 1
        name = schema = None
        for encoded in requests:
            request = Request.FromString(encoded)
            name = request.write_stream or name
            if request.arrow_rows.HasField("writer_schema"):
                told = request.arrow_rows.writer_schema.serialized_schema
                schema = pa.ipc.read_schema(pa.py_buffer(told))
            body = pa.py_buffer(request.arrow_rows.rows.serialized_record_batch)
            rows = pa.ipc.read_record_batch(body, schema)
            offset = request.offset.value if request.HasField("offset") else None
            try:
                answer = self._answer(str(name), offset, rows)
            except HangupError:
                context.abort(grpc.StatusCode.UNAVAILABLE, "the connection was dropped")
            yield answer.SerializeToString()

    def _answer(self, name: str, offset: int | None, rows: pa.RecordBatch) -> Any:
        self.requests.append((name, offset, len(rows)))
        instead = self.before(name, offset, rows)
        if instead is not None:
            return instead
        with self.lock:
            stream = self.streams.get(name)
            if stream is None:
                return error(grpc.StatusCode.NOT_FOUND, "no such stream")
            if offset is not None and offset != len(stream.rows):
                there = offset < len(stream.rows)
                code = grpc.StatusCode.ALREADY_EXISTS if there else grpc.StatusCode.OUT_OF_RANGE
                return error(code, f"the stream ends at {len(stream.rows)}")
            stream.rows += rows.to_pylist()
        after = self.after(name, offset, rows)
        return appended(offset) if after is None else after

    def create(self, encoded: bytes, _context: grpc.ServicerContext) -> bytes:
        """Serve CreateWriteStream."""
        request = api.CreateWriteStreamRequest.pb().FromString(encoded)
        with self.lock:
            name = f"{request.parent}/streams/s{len(self.streams)}"
            self.streams[name] = Stream()
        return api.WriteStream.pb()(name=name).SerializeToString()

    def get(self, _encoded: bytes, _context: grpc.ServicerContext) -> bytes:
        """Serve GetWriteStream."""
        return api.WriteStream.pb()(table_schema=self.schema()).SerializeToString()

    def flush(self, encoded: bytes, _context: grpc.ServicerContext) -> bytes:
        """Serve FlushRows: the offset is included."""
        request = api.FlushRowsRequest.pb().FromString(encoded)
        with self.lock:
            stream = self.streams[request.write_stream]
            stream.visible = max(stream.visible, request.offset.value + 1)
        return api.FlushRowsResponse.pb()(offset=request.offset.value).SerializeToString()


def appended(offset: int | None) -> Any:
    """Return the answer to rows that are in."""
    answer = Response()
    answer.append_result.SetInParent()
    if offset is not None:
        answer.append_result.offset.value = offset
    return answer


def error(code: grpc.StatusCode, text: str, detail: Any = None) -> Any:
    """Return an answer with an error, perhaps with a ``StorageErrorCode``."""
    answer = Response()
    answer.error.code, answer.error.message = code.value[0], text
    if detail is not None:
        answer.error.details.add().Pack(api.StorageError.pb()(code=detail.value))
    return answer


def row_errors(bad: dict[int, str]) -> Any:
    """Return the answer to a request with bad rows."""
    answer = error(grpc.StatusCode.INVALID_ARGUMENT, "there are bad rows")
    for index, text in bad.items():
        answer.row_errors.add(index=index, message=text)
    return answer


class _Handlers(grpc.GenericRpcHandler):
    def __init__(self, table: FakeTable) -> None:
        self._unary = {
            "CreateWriteStream": table.create, "GetWriteStream": table.get,
            "FlushRows": table.flush,
        }  # fmt: skip
        self._append = table.append

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        name = details.method.rpartition("/")[2]
        if name == "AppendRows":
            return grpc.stream_stream_rpc_method_handler(self._append)
        method = self._unary.get(name)
        return None if method is None else grpc.unary_unary_rpc_method_handler(method)


@contextlib.contextmanager
def serve(table: FakeTable) -> Iterator[str]:
    """Serve a table; yield the address."""
    pool = ThreadPoolExecutor(64)
    server = grpc.server(
        pool, handlers=[_Handlers(table)],
        options=[("grpc.max_receive_message_length", -1)],
    )  # fmt: skip
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"127.0.0.1:{port}"
    finally:
        server.stop(None).wait(5)
        pool.shutdown(wait=False)
