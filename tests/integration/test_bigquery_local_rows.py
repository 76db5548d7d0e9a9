"""Rows of every type through the local BigQuery: Arrow and protocol buffers, by Google's writer."""

import datetime as dt
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from google.cloud import bigquery
from google.cloud.bigquery_storage_v1 import types as api
from google.cloud.bigquery_storage_v1.writer import AppendRowsStream
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from tests.bigquery_clients import Clients, Request, arrow_request, storage_code

pytestmark = pytest.mark.integration

Field = bigquery.SchemaField
UTC = dt.timezone.utc
_F = descriptor_pb2.FieldDescriptorProto

ALL = (
    Field("string", "STRING"), Field("bytes", "BYTES"), Field("int64", "INT64"),
    Field("float64", "FLOAT64"), Field("bool", "BOOL"), Field("numeric", "NUMERIC"),
    Field("bignumeric", "BIGNUMERIC"), Field("timestamp", "TIMESTAMP"),
    Field("datetime", "DATETIME"), Field("date", "DATE"), Field("time", "TIME"),
    Field("json", "JSON"), Field("geography", "GEOGRAPHY"),
    Field("range", "RANGE", range_element_type="DATE"), Field("array", "INT64", "REPEATED"),
    Field("record", "RECORD", fields=[
        Field("x", "INT64"), Field("inner", "RECORD", "REPEATED", fields=[Field("y", "STRING")]),
    ]),
)  # fmt: skip
EXPECTED: dict[str, Any] = {
    "string": "é", "bytes": b"\x00\xff", "int64": -(2**63), "float64": 0.1, "bool": True,
    "numeric": Decimal("99999999999999999999999999999.999999999"),
    "bignumeric": Decimal("123456789012345678901234567890.12345678901234567890"),
    "timestamp": dt.datetime(2024, 2, 29, 23, 59, 59, 999_999, tzinfo=UTC),
    "datetime": dt.datetime(1, 1, 1), "date": dt.date(9999, 12, 31),
    "time": dt.time(23, 59, 59, 1), "json": {"a": [1, None]}, "geography": "POINT(1 2)",
    "range": {"start": dt.date(2024, 1, 1), "end": None}, "array": [1, 2],
    "record": {"x": 1, "inner": [{"y": "a"}, {"y": None}]},
}  # fmt: skip
NOTHING = {name: [] if name == "array" else None for name in EXPECTED}
ARROW = pa.schema([
    ("string", pa.string()), ("bytes", pa.binary()), ("int64", pa.int64()),
    ("float64", pa.float64()), ("bool", pa.bool_()), ("numeric", pa.decimal128(38, 9)),
    ("bignumeric", pa.decimal256(76, 38)), ("timestamp", pa.timestamp("us", "UTC")),
    ("datetime", pa.timestamp("us")), ("date", pa.date32()), ("time", pa.time64("us")),
    ("json", pa.string()), ("geography", pa.string()),
    ("range", pa.struct([("start", pa.date32()), ("end", pa.date32())])),
    ("array", pa.list_(pa.int64())),
    ("record", pa.struct([("x", pa.int64()),
                          ("inner", pa.list_(pa.struct([("y", pa.string())])))])),
])  # fmt: skip


def message(*fields: tuple[str, int, int, str], nested: Any = ()) -> Any:
    """Return a message class: name, type and label of each field, and the name of its message."""
    file = descriptor_pb2.FileDescriptorProto(name="rows.proto", syntax="proto2")
    outer = file.message_type.add(name="Row")
    for name, inner in nested:
        _add(outer.nested_type.add(name=name), inner)
    _add(outer, fields)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("Row"))


def _add(target: Any, fields: Sequence[tuple[str, int, int, str]]) -> None:
    for number, (name, kind, label, inner) in enumerate(fields, 1):
        target.field.add(name=name, number=number, type=kind, label=label, type_name=inner or None)


def optional(name: str, kind: int, inner: str = "") -> tuple[str, int, int, str]:
    """Return a field that need not be there."""
    return name, kind, _F.LABEL_OPTIONAL, inner


def repeated(name: str, kind: int, inner: str = "") -> tuple[str, int, int, str]:
    """Return a field with any number of values."""
    return name, kind, _F.LABEL_REPEATED, inner


def proto_request(rows: Sequence[Any], stream: str = "") -> Any:
    """Return an AppendRows request with the rows and their descriptor."""
    request = Request(write_stream=stream)
    type(rows[0]).DESCRIPTOR.CopyToProto(request.proto_rows.writer_schema.proto_descriptor)
    request.proto_rows.rows.serialized_rows.extend(row.SerializeToString() for row in rows)
    return request


def rows_of(clients: Clients, name: str) -> list[dict[str, Any]]:
    """Return the rows of a table as Google's client reads them."""
    return [dict(row) for row in clients.rest.list_rows(f"data.{name}")]


ROW = message(
    optional("string", _F.TYPE_STRING), optional("bytes", _F.TYPE_BYTES),
    optional("int64", _F.TYPE_SINT64), optional("float64", _F.TYPE_DOUBLE),
    optional("bool", _F.TYPE_BOOL), optional("numeric", _F.TYPE_BYTES),
    optional("bignumeric", _F.TYPE_STRING), optional("timestamp", _F.TYPE_INT64),
    optional("datetime", _F.TYPE_STRING), optional("date", _F.TYPE_INT32),
    optional("time", _F.TYPE_INT64), optional("json", _F.TYPE_STRING),
    optional("geography", _F.TYPE_STRING), optional("range", _F.TYPE_MESSAGE, "Days"),
    repeated("array", _F.TYPE_INT64), optional("record", _F.TYPE_MESSAGE, "Outer"),
    nested=[
        ("Days", [optional("start", _F.TYPE_INT32), optional("end", _F.TYPE_INT32)]),
        ("Inner", [optional("y", _F.TYPE_STRING)]),
        ("Outer", [optional("x", _F.TYPE_INT64), repeated("inner", _F.TYPE_MESSAGE, "Inner")]),
    ],
)  # fmt: skip


def proto_row() -> Any:
    """Return the expected row as a message, in the forms that stand for the types."""
    row = ROW(
        string="é", bytes=b"\x00\xff", int64=-(2**63), float64=0.1, bool=True,
        numeric=(10**38 - 1).to_bytes(16, "little", signed=True),
        bignumeric=str(EXPECTED["bignumeric"]),
        timestamp=1_709_251_199_999_999, datetime="0001-01-01T00:00:00", date=2_932_896,
        time=(23 << 12 | 59 << 6 | 59) << 20 | 1, json='{"a": [1, null]}',
        geography="POINT(1 2)", array=[1, 2],
    )  # fmt: skip
    row.range.start = 19_723
    row.record.x = 1
    row.record.inner.add(y="a")
    row.record.inner.add()
    return row


def test_arrow_rows_of_every_type(clients: Clients) -> None:
    """What is written comes back exactly, by tabledata.list and by a query; NULL too."""
    table = clients.table("arrow_types", *ALL)
    row = EXPECTED | {"json": '{"a": [1, null]}'}
    batch = pa.RecordBatch.from_pylist([row, {}], schema=ARROW)
    (response,) = clients.append(arrow_request(batch, f"{table}/streams/_default"))
    assert not response.row_errors
    assert rows_of(clients, "arrow_types") == [EXPECTED, NOTHING]
    found = clients.rest.query_and_wait("SELECT * FROM data.arrow_types", retry=None)
    assert [field.field_type for field in found.schema] == [
        field.field_type for field in clients.rest.get_table("data.arrow_types").schema
    ]
    assert [dict(row) for row in found] == [EXPECTED, NOTHING]


def test_proto_rows_of_every_type_by_googles_writer(clients: Clients) -> None:
    """AppendRowsStream names the stream only in its first request."""
    table = clients.table("proto_types", *ALL)
    template = api.AppendRowsRequest(write_stream=f"{table}/streams/_default")
    descriptor = descriptor_pb2.DescriptorProto()
    ROW.DESCRIPTOR.CopyToProto(descriptor)
    template.proto_rows.writer_schema = api.ProtoSchema(proto_descriptor=descriptor)
    writer = AppendRowsStream(clients.write, template)
    futures = []
    for row in (proto_row(), ROW(), proto_row()):
        request = api.AppendRowsRequest()
        request.proto_rows.rows = api.ProtoRows(serialized_rows=[row.SerializeToString()])
        futures.append(writer.send(request))
    for future in futures:
        assert not future.result(timeout=20).row_errors
    writer.close()
    assert rows_of(clients, "proto_types") == [EXPECTED, NOTHING, EXPECTED]


def test_broken_proto_row_is_named(clients: Clients) -> None:
    """Bytes that are no message are a row's error, not the request's."""
    table = clients.table("broken", Field("a", "STRING"))
    row = message(optional("a", _F.TYPE_STRING))(a="x")
    request = proto_request([row] * 3, f"{table}/streams/_default")
    request.proto_rows.rows.serialized_rows[1] = b"\xff"
    (response,) = clients.append(request)
    assert [error.index for error in response.row_errors] == [1]
    assert clients.count(table) == 0


def test_proto_descriptor_must_be_whole(clients: Clients) -> None:
    """A type that the descriptor does not hold can't be found."""
    table = clients.table("partial", Field("a", "STRING"))
    request = Request(write_stream=f"{table}/streams/_default")
    descriptor = request.proto_rows.writer_schema.proto_descriptor
    descriptor.name = "Row"
    _add(descriptor, [optional("a", _F.TYPE_MESSAGE, ".elsewhere.Thing")])
    request.proto_rows.rows.serialized_rows.append(b"")
    (response,) = clients.append(request)
    assert "Invalid proto schema" in response.error.message


def test_default_values(clients: Clients) -> None:
    """Columns that the writer lacks are filled; NULLs of a row only on request."""
    table = clients.table(
        "defaults",
        Field("id", "INT64"),
        Field("a", "STRING", default_value_expression="'x'"),
        Field("at", "TIMESTAMP", default_value_expression="CURRENT_TIMESTAMP()"),
    )
    stream = f"{table}/streams/_default"
    with_a = pa.RecordBatch.from_pydict({"id": [2, 3], "a": [None, "q"]})
    plain = arrow_request(with_a)
    asked = arrow_request(with_a)
    asked.missing_value_interpretations["a"] = 2
    clients.append(arrow_request(pa.RecordBatch.from_pydict({"id": [1]}), stream), plain, asked)
    rows = clients.select("SELECT id, a, at > TIMESTAMP '2024-01-01' FROM data.defaults")
    assert rows == [
        (1, "x", True), (2, None, True), (3, "q", True), (2, "x", True), (3, "q", True),
    ]  # fmt: skip


CHANGE = message(
    optional("id", _F.TYPE_INT64), optional("v", _F.TYPE_STRING),
    optional("_CHANGE_TYPE", _F.TYPE_STRING), optional("_CHANGE_SEQUENCE_NUMBER", _F.TYPE_STRING),
)  # fmt: skip


def change(kind: str, key: int, value: str = "", sequence: str | None = None) -> Any:
    """Return a change of a row."""
    row = CHANGE(id=key, v=value, _CHANGE_TYPE=kind)
    if sequence is not None:
        row._CHANGE_SEQUENCE_NUMBER = sequence
    return row


def keyed(clients: Clients, name: str) -> str:
    """Make a table with a primary key."""
    constraints = bigquery.table.TableConstraints(
        primary_key=bigquery.table.PrimaryKey(columns=["id"]), foreign_keys=None
    )
    columns = Field("id", "INT64", "REQUIRED"), Field("v", "STRING")
    return clients.table(name, *columns, table_constraints=constraints)


def test_change_data_capture(clients: Clients) -> None:
    """Upserts and deletes by key; the highest sequence holds, also over requests."""
    table = keyed(clients, "changes")
    responses = clients.append(
        proto_request(
            [change("UPSERT", 1, "a", "5"), change("UPSERT", 2, "b", "5"),
             change("UPSERT", 1, "late", "4")],
            f"{table}/streams/_default",
        ),
        proto_request([change("DELETE", 2, "", "A"), change("UPSERT", 3, "c", "1")]),
        proto_request([change("UPSERT", 2, "too late", "9"), change("UPSERT", 3, "d", "1/1")]),
    )  # fmt: skip
    assert [response.error.code for response in responses] == [0, 0, 0]
    assert sorted(clients.select("SELECT id, v FROM data.changes")) == [(1, "a"), (3, "d")]


def test_changes_need_a_key_and_valid_types(clients: Clients) -> None:
    """A table without a key, an unknown type, another stream, Arrow: all refused."""
    plain = clients.table("no_key", Field("id", "INT64"), Field("v", "STRING"))
    table = keyed(clients, "strict_changes")
    (no_key,) = clients.append(proto_request([change("UPSERT", 1)], f"{plain}/streams/_default"))
    assert "primary key" in no_key.error.message
    rows = [change("UPSERT", 1), change("INSERT", 2), change("UPSERT", 3, "", "x")]
    (wrong,) = clients.append(proto_request(rows, f"{table}/streams/_default"))
    assert [error.index for error in wrong.row_errors] == [1, 2]
    (offset,) = clients.append(proto_request([change("UPSERT", 1)], clients.stream(table)))
    assert "default stream" in offset.error.message
    arrow = pa.RecordBatch.from_pydict({"id": [1], "_CHANGE_TYPE": ["UPSERT"]})
    (refused,) = clients.append(arrow_request(arrow, f"{table}/streams/_default"))
    assert "Arrow is not supported" in refused.error.message
    assert storage_code(refused.error) == ""
    assert (clients.count(plain), clients.count(table)) == (0, 0)
