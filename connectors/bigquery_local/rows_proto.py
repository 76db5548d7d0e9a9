"""The protocol buffer rows of an AppendRows request, decoded to Arrow in compiled code.

The writer's descriptor is read as proto2, as the service reads it: a field that is not set is
missing, whatever its default.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from google.protobuf import (
    descriptor_pb2,
    descriptor_pool,
    duration_pb2,
    message_factory,
    timestamp_pb2,
    wrappers_pb2,
)
from google.protobuf.message import DecodeError
from ptars import HandlerPool, PtarsConfig

from connectors.bigquery_local.enums import with_names
from connectors.bigquery_local.errors import Code, Refusal, RowsRefused
from connectors.bigquery_local.schema import Schema

__all__ = ["ProtoRows"]

_ENUM = descriptor_pb2.FieldDescriptorProto.TYPE_ENUM

_WELL_KNOWN = (duration_pb2, timestamp_pb2, wrappers_pb2)


class ProtoRows:
    """Decodes the rows of one writer's schema.

    Args:
        descriptor: a ``DescriptorProto`` that holds all that it refers to; Google's well-known
            types need not be in it.

    Raises:
        Refusal: the descriptor is not valid.
    """

    format = "proto"

    def __init__(self, descriptor: Any) -> None:
        file = descriptor_pb2.FileDescriptorProto(name="writer.proto", syntax="proto2")
        file.message_type.add().CopyFrom(descriptor)
        pool = descriptor_pool.DescriptorPool()
        for module in _WELL_KNOWN:
            known = descriptor_pb2.FileDescriptorProto()
            module.DESCRIPTOR.CopyToProto(known)
            pool.Add(known)
            file.dependency.append(known.name)
        try:
            pool.Add(file)
            message = pool.FindMessageTypeByName(descriptor.name)
        except (KeyError, TypeError, ValueError) as error:
            raise Refusal(Code.INVALID_ARGUMENT, f"Invalid proto schema: {error}") from None
        self._message = message_factory.GetMessageClass(message)
        self._enums = _has_enums(descriptor)
        config = PtarsConfig(timestamp_unit="us")
        self._handler = HandlerPool([message.file], config).get_for_message(message)
        self.schema: pa.Schema = self._handler.list_to_record_batch([]).schema

    def decode(self, rows: Sequence[bytes], schema: Schema) -> pa.RecordBatch:
        """Return the rows of one request.

        Args:
            rows: serialized messages.
            schema: of the table: its STRING columns take enums by name.

        Raises:
            RowsRefused: some are not such messages.
        """
        rows = list(rows)
        try:
            found = self._handler.list_to_record_batch(rows)
        except ValueError:
            raise RowsRefused(self._broken(rows)) from None
        return with_names(found, self._message.DESCRIPTOR, schema) if self._enums else found

    def _broken(self, rows: list[bytes]) -> dict[int, str]:
        broken: dict[int, str] = {}
        for index, row in enumerate(rows):
            try:
                self._message.FromString(row)
                self._handler.list_to_record_batch([row])
            except (DecodeError, ValueError) as error:  # noqa: PERF203 - each row's own
                broken[index] = f"Cannot parse the row with the writer's schema: {error}"
        return broken


def _has_enums(descriptor: Any) -> bool:
    return any(field.type == _ENUM for field in descriptor.field) or any(
        map(_has_enums, descriptor.nested_type)
    )
