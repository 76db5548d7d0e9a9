"""Rows as Arrow and as protocol buffers."""

from __future__ import annotations

import decimal
from typing import Any

import pyarrow as pa
import pytest
from google.cloud.bigquery_storage_v1 import types as api
from google.protobuf import descriptor_pb2, descriptor_pool, json_format, message_factory

from connectors.bigquery.forms import ArrowForm, Form, ProtoForm
from transforms.errors import ConfigError

TWO = decimal.Decimal("2.5")
RECORD = pa.struct([("a", pa.int64()), ("b", pa.list_(pa.string()))])
ROWS = pa.RecordBatch.from_pydict(
    {
        "n": pa.array([0, None, 5]),
        "f": pa.array([0.0, None, 1.5]),
        "flag": pa.array([False, None, True]),
        "s": pa.array(["", None, "x"]),
        "b": pa.array([b"", None, b"\x00"]),
        "num": pa.array([TWO, None, -TWO], pa.decimal128(38, 9)),
        "ts": pa.array([0, None, 1]).cast(pa.timestamp("us", tz="UTC")),
        "at": pa.array([0, None, 1]).cast(pa.timestamp("us")),
        "d": pa.array([0, None, 1], pa.int32()).cast(pa.date32()),
        "t": pa.array([0, None, 1]).cast(pa.time64("us")),
        "r": pa.array([{"a": 0, "b": [""]}, None, {"a": None, "b": []}], RECORD),
        "l": pa.array([[0, 1], [], [2]]),
        "lr": pa.array([[{"a": 0, "b": []}], [], [{"a": 1, "b": ["q"]}]], pa.list_(RECORD)),
    }
)  # fmt: skip
WRITTEN: list[dict[str, Any]] = [
    {
        "n": "0", "f": 0.0, "flag": False, "s": "", "b": "", "num": "2.500000000", "ts": "0",
        "at": "1970-01-01 00:00:00.000000", "d": 0, "t": "00:00:00.000000",
        "r": {"a": "0", "b": [""]}, "l": ["0", "1"], "lr": [{"a": "0"}],
    },
    {},
    {
        "n": "5", "f": 1.5, "flag": True, "s": "x", "b": "AA==", "num": "-2.500000000", "ts": "1",
        "at": "1970-01-01 00:00:00.000001", "d": 1, "t": "00:00:00.000001",
        "r": {}, "l": ["2"], "lr": [{"a": "1", "b": ["q"]}],
    },
]  # fmt: skip


def request(form: Form, rows: pa.RecordBatch) -> Any:
    made = api.AppendRowsRequest.pb()()
    form.put_rows(made, form.encode(rows))
    form.put_schema(made)
    return made


def messages(made: Any) -> list[dict[str, Any]]:
    """Read a request as a server does: by the descriptor that came with it."""
    file = descriptor_pb2.FileDescriptorProto(name="read.proto", syntax="proto2")
    file.message_type.append(made.proto_rows.writer_schema.proto_descriptor)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    row = message_factory.GetMessageClass(pool.FindMessageTypeByName("Row"))
    return [
        json_format.MessageToDict(row.FromString(each), preserving_proto_field_name=True)
        for each in made.proto_rows.rows.serialized_rows
    ]


def test_arrow_is_read_as_it_was() -> None:
    """A slice is sent as a slice, and the schema apart."""
    made = request(ArrowForm(ROWS.schema), ROWS[1:])
    schema = pa.ipc.read_schema(pa.py_buffer(made.arrow_rows.writer_schema.serialized_schema))
    body = made.arrow_rows.rows.serialized_record_batch
    assert pa.ipc.read_record_batch(pa.py_buffer(body), schema).equals(ROWS[1:])


@pytest.mark.parametrize("start", [0, 1, 2])
def test_messages_hold_the_same_values(start: int) -> None:
    """Zero and empty are not null; a slice has its own rows; every type has its documented form."""
    assert messages(request(ProtoForm(ROWS.schema), ROWS[start:])) == WRITTEN[start:]


@pytest.mark.parametrize("form", [ArrowForm, ProtoForm])
@pytest.mark.parametrize("count", [0, 1, 3, 3_000])
def test_field_is_what_a_message_would_write(form: type[ArrowForm | ProtoForm], count: int) -> None:
    """Byte for byte, whatever number of bytes its lengths take."""
    rows = pa.concat_tables([pa.Table.from_batches([ROWS])] * (count // 3 + 1)).combine_chunks()
    (batch,) = rows.slice(0, count).to_batches() or [ROWS.slice(0, 0)]
    made, expected = form(ROWS.schema), api.AppendRowsRequest.pb()()
    encoded = made.encode(batch)
    made.put_rows(expected, encoded)
    assert b"".join(made.field(encoded)) == expected.SerializeToString()


def test_forms_of_one_schema_are_equal() -> None:
    """They share connections; those of another format or schema don't."""
    schema, other = ROWS.schema, pa.schema([("n", pa.int64())])
    assert ArrowForm(schema) == ArrowForm(schema) != ArrowForm(other)
    assert ProtoForm(schema) == ProtoForm(schema) != ArrowForm(schema)
    assert len({ArrowForm(schema), ArrowForm(schema), ProtoForm(other)}) == 2


@pytest.mark.parametrize("name", ["é", "a b", "1a", "a-b"])
def test_name_that_no_message_has_is_refused(name: str) -> None:
    """BigQuery would take the name, protocol buffers don't."""
    with pytest.raises(ConfigError, match="protocol buffer"):
        ProtoForm(pa.schema([(name, pa.int64())]))
