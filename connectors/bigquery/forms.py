"""The two forms in which rows are sent: Arrow, and protocol buffers for change data capture.

https://cloud.google.com/bigquery/docs/change-data-capture: "You must use the protobuf format as the
ingestion format. The Apache Arrow format isn't supported."
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc
from google.cloud.bigquery_storage_v1 import types as api
from google.protobuf import descriptor_pb2, descriptor_pool
from ptars import HandlerPool

from transforms.arrow_types import is_bytes, is_text
from transforms.errors import ConfigError

__all__ = ["ArrowForm", "Form", "ProtoForm"]

_Field = descriptor_pb2.FieldDescriptorProto
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_FILE, _ROW = "headrace_row.proto", "Row"


def _number(message: Any, field: str) -> int:
    return int(message.pb().DESCRIPTOR.fields_by_name[field].number)


_ARROW_ROWS = _number(api.AppendRowsRequest, "arrow_rows")
_ROWS = _number(api.AppendRowsRequest.ArrowData, "rows")
_RECORD_BATCH = _number(api.ArrowRecordBatch, "serialized_record_batch")
# https://protobuf.dev/programming-guides/encoding/
_LENGTH_DELIMITED, _SEVEN_BITS = 2, 0x7F


class Form(Protocol):
    """How rows of one schema are encoded. Equal forms share connections."""

    schema: pa.Schema

    def encode(self, rows: pa.RecordBatch) -> Any:
        """Return the rows as they are sent: something with ``nbytes``."""

    def put_rows(self, request: Any, encoded: Any) -> None:
        """Put encoded rows into an ``AppendRowsRequest``."""

    def put_schema(self, request: Any) -> None:
        """Put the schema of the rows into an ``AppendRowsRequest``."""

    def field(self, encoded: Any) -> Iterable[Any]:
        """Return the bytes of the field of a request that holds the rows alone, in pieces."""


class _Buffer:
    """A buffer that knows its size by the name that arrays have for it."""

    __slots__ = ("buffer",)

    def __init__(self, buffer: pa.Buffer) -> None:
        self.buffer = buffer

    @property
    def nbytes(self) -> int:
        return int(self.buffer.size)


class ArrowForm:
    """Record batches in Arrow IPC.

    Args:
        schema: of the rows.
    """

    def __init__(self, schema: pa.Schema) -> None:
        self.schema = schema

    def encode(self, rows: pa.RecordBatch) -> _Buffer:
        """Return the record batch without its schema."""
        return _Buffer(rows.serialize())

    def put_rows(self, request: Any, encoded: _Buffer) -> None:
        """Put a record batch into a request."""
        request.arrow_rows.rows.serialized_record_batch = encoded.buffer.to_pybytes()

    def field(self, encoded: _Buffer) -> Iterable[Any]:
        """Return the field; to have it copied by a message costs eighty times as much."""
        body = memoryview(encoded.buffer)
        prefix = b""
        for number in (_RECORD_BATCH, _ROWS, _ARROW_ROWS):
            prefix = _length_prefix(number, len(prefix) + len(body)) + prefix
        return prefix, body

    def put_schema(self, request: Any) -> None:
        """Put the schema into a request."""
        serialized = self.schema.serialize().to_pybytes()
        request.arrow_rows.writer_schema.serialized_schema = serialized

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ArrowForm) and self.schema.equals(other.schema)

    def __hash__(self) -> int:
        return hash(self.schema)


class ProtoForm:
    """A message of protocol buffers for each row, made column by column in Rust.

    Times of day and DATETIME are literals, as are decimals; TIMESTAMP is microseconds and DATE is
    days: https://cloud.google.com/bigquery/docs/supported-data-types.

    Args:
        schema: of the rows.

    Raises:
        ConfigError: a column has a name that no field of a message can have.
    """

    def __init__(self, schema: pa.Schema) -> None:
        self.schema = schema
        self._descriptor = descriptor_pb2.DescriptorProto(name=_ROW)
        _describe(schema, self._descriptor)
        file = descriptor_pb2.FileDescriptorProto(name=_FILE, syntax="proto2")
        file.message_type.append(self._descriptor)
        pool = descriptor_pool.DescriptorPool()
        pool.Add(file)
        handlers = HandlerPool([pool.FindFileByName(_FILE)])
        self._handler = handlers.get_for_message(pool.FindMessageTypeByName(_ROW))

    def encode(self, rows: pa.RecordBatch) -> pa.BinaryArray:
        """Return the messages."""
        columns = [_wire(column) for column in rows.columns]
        return self._handler.record_batch_to_array(
            pa.RecordBatch.from_arrays(columns, names=rows.schema.names)
        )

    def put_rows(self, request: Any, encoded: pa.BinaryArray) -> None:
        """Put messages into a request."""
        request.proto_rows.rows.serialized_rows.extend(encoded.to_pylist())

    def field(self, encoded: pa.BinaryArray) -> Iterable[Any]:
        """Return the field."""
        request = api.AppendRowsRequest.pb()()
        self.put_rows(request, encoded)
        return (request.SerializeToString(),)

    def put_schema(self, request: Any) -> None:
        """Put the descriptor into a request."""
        request.proto_rows.writer_schema.proto_descriptor.CopyFrom(self._descriptor)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ProtoForm) and self.schema.equals(other.schema)

    def __hash__(self) -> int:
        return hash(self.schema)


def _length_prefix(number: int, length: int) -> bytes:
    """Return what stands before the content of a field: its number, and its length."""
    written = bytearray()
    for value in (number << 3 | _LENGTH_DELIMITED, length):
        rest = value
        while rest > _SEVEN_BITS:
            written.append(rest & _SEVEN_BITS | 0x80)
            rest >>= 7
        written.append(rest)
    return bytes(written)


def _describe(fields: Iterable[pa.Field], message: Any) -> None:
    for number, field in enumerate(fields, 1):
        if not _IDENTIFIER.fullmatch(field.name):
            raise ConfigError(
                "column", field.name, "can't be a field of a protocol buffer, as changes need it",
                "Use letters, digits and underscores",
            )  # fmt: skip
        repeated = pa.types.is_list(field.type)
        kind = field.type.value_type if repeated else field.type
        made = message.field.add(
            name=field.name,
            number=number,
            label=_Field.LABEL_REPEATED if repeated else _Field.LABEL_OPTIONAL,
            type=_kind(kind),
        )
        if pa.types.is_struct(kind):
            nested = message.nested_type.add(name=f"T{number}")
            made.type_name = nested.name
            _describe(list(kind), nested)


def _kind(kind: pa.DataType) -> int:
    for matches, found in (
        (pa.types.is_struct, _Field.TYPE_MESSAGE),
        (pa.types.is_boolean, _Field.TYPE_BOOL),
        (pa.types.is_date, _Field.TYPE_INT32),
        (pa.types.is_floating, _Field.TYPE_DOUBLE),
        (is_bytes, _Field.TYPE_BYTES),
    ):
        if matches(kind):
            return int(found)
    is_count = pa.types.is_integer(kind) or _is_zoned(kind)
    return int(_Field.TYPE_INT64 if is_count else _Field.TYPE_STRING)


def _is_zoned(kind: pa.DataType) -> bool:
    return pa.types.is_timestamp(kind) and kind.tz is not None


def _wire(array: pa.Array) -> pa.Array:
    """Return the values in the types of a message's fields."""
    kind = array.type
    if pa.types.is_list(kind):
        start, end = array.offsets[0].as_py(), array.offsets[-1].as_py()
        offsets = pc.subtract(array.offsets, pa.scalar(start, pa.int32()))
        return pa.ListArray.from_arrays(offsets, _wire(array.values[start:end]))
    if pa.types.is_struct(kind):
        names = [field.name for field in kind]
        values = [_wire(child) for child in array.flatten()]
        return pa.StructArray.from_arrays(values, names=names, mask=array.is_null())
    if pa.types.is_date(kind):
        return array.view(pa.int32())
    if _is_zoned(kind):
        return array.view(pa.int64())
    is_literal = not is_text(kind) and _kind(kind) == _Field.TYPE_STRING
    return array.cast(pa.string()) if is_literal else array
