"""Rows to a default stream without a pipeline: by our writer, and by Google's own."""

from __future__ import annotations

from collections import deque
from typing import Any

import grpc
import pyarrow as pa
from google.cloud.bigquery_storage_v1 import BigQueryWriteClient, types, writer
from google.cloud.bigquery_storage_v1.services.big_query_write.transports import (
    BigQueryWriteGrpcTransport,
)
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from benchmarks.bigquery_rows import COLUMNS, batch, cpu_s, dictionaries
from connectors.bigquery.default_stream import DefaultStream
from connectors.bigquery.forms import ArrowForm
from connectors.bigquery.line import Line
from connectors.bigquery.rows import Shape
from connectors.bigquery.session import session
from connectors.clients import bigquery_storage_endpoint
from connectors.table_name import TableName

__all__ = ["arrow", "proto"]

UNDER_WAY = 8
"""Requests that wait for their answers, by Google's writer."""


def arrow(table: str, batches: int) -> float:
    """Append Arrow batches as ``bigquery.Write`` does; return the CPU seconds."""
    rows = [batch(number) for number in range(batches)]
    name = TableName.parse(table)
    shape = Shape(rows[0].schema, session().schema(name))
    began_s = cpu_s()
    stream = DefaultStream(Line(session(), name), ArrowForm(shape.fit(rows[0]).rows.schema))
    tickets = [stream.send(shape.fit(batch).rows) for batch in rows]
    stream.settle_all()
    used_s = cpu_s() - began_s
    assert not any(ticket.refused for ticket in tickets)
    return used_s


def proto(table: str, batches: int) -> float:
    """Append messages by Google's writer; return the CPU seconds."""
    given = [dictionaries(batch(number), pa.int64()) for number in range(batches)]
    message, descriptor = _message()
    channel = grpc.insecure_channel(bigquery_storage_endpoint().address)
    client = BigQueryWriteClient(transport=BigQueryWriteGrpcTransport(channel=channel))
    project, dataset, name = table.split(".")
    stream = f"{client.table_path(project, dataset, name)}/streams/_default"
    schema = types.ProtoSchema(proto_descriptor=descriptor)
    data = types.AppendRowsRequest.ProtoData(writer_schema=schema)
    first = types.AppendRowsRequest(write_stream=stream, proto_rows=data)
    began_s = cpu_s()
    appending = writer.AppendRowsStream(client, first)
    under_way: deque[Any] = deque()
    for rows in given:
        if len(under_way) >= UNDER_WAY:
            under_way.popleft().result()
        proto_rows = types.ProtoRows()
        proto_rows.serialized_rows = [message(**row).SerializeToString() for row in rows]
        request = types.AppendRowsRequest()
        request.proto_rows = types.AppendRowsRequest.ProtoData(rows=proto_rows)
        under_way.append(appending.send(request))
    for future in under_way:
        future.result()
    used_s = cpu_s() - began_s
    appending.close()
    return used_s


def _message() -> tuple[Any, Any]:
    """Return the class of a row's message and its descriptor."""
    field = descriptor_pb2.FieldDescriptorProto
    kinds = {
        "STRING": field.TYPE_STRING, "INTEGER": field.TYPE_INT64, "FLOAT": field.TYPE_DOUBLE,
        "BOOLEAN": field.TYPE_BOOL, "TIMESTAMP": field.TYPE_INT64,
    }  # fmt: skip
    file = descriptor_pb2.FileDescriptorProto(name="row.proto", package="bench", syntax="proto2")
    row = file.message_type.add(name="Row")
    for number, (name, kind) in enumerate(COLUMNS, 1):
        row.field.add(name=name, number=number, type=kinds[kind], label=field.LABEL_OPTIONAL)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("bench.Row")), row
