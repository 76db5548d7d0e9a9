"""Enums of protocol buffers in the columns of a table."""

from typing import Any

from google.protobuf import descriptor_pb2

from connectors.bigquery_local.rows_proto import ProtoRows
from connectors.bigquery_local.schema import Field, Schema

_F = descriptor_pb2.FieldDescriptorProto
INNER = Field("c", "STRING"), Field("n", "INT64")
SCHEMA: Schema = (
    Field("c", "STRING"),
    Field("n", "INT64"),
    Field("many", "STRING", "REPEATED"),
    Field("r", "STRUCT", "REPEATED", INNER),
)


def color_message() -> Any:
    """Return a decoder of messages with enums at every depth."""
    row = descriptor_pb2.DescriptorProto(name="Row")
    color = row.enum_type.add(name="Color")
    for name, number in (("RED", 0), ("GREEN", 1)):
        color.value.add(name=name, number=number)
    inner = row.nested_type.add(name="Inner")
    for message in (row, inner):
        for number, name in enumerate(("c", "n"), 1):
            message.field.add(
                name=name, number=number, type=_F.TYPE_ENUM, type_name="Color", label=1
            )
    row.field.add(name="many", number=3, type=_F.TYPE_ENUM, type_name="Color", label=3)
    row.field.add(name="r", number=4, type=_F.TYPE_MESSAGE, type_name="Inner", label=3)
    return ProtoRows(row)


def test_names_in_string_columns_numbers_in_others() -> None:
    """Also inside arrays and records; what is missing stays missing."""
    one = b"\x08\x01\x10\x01" + b"\x18\x00\x18\x01" + b"\x22\x04\x08\x00\x10\x01" + b"\x22\x00"
    found = color_message().decode([one, b""], SCHEMA).to_pylist()
    assert found[0] == {
        "c": "GREEN",
        "n": 1,
        "many": ["RED", "GREEN"],
        "r": [{"c": "RED", "n": 1}, {"c": None, "n": None}],
    }
    assert found[1] == {"c": None, "n": None, "many": [], "r": []}


def test_columns_that_the_table_lacks_stay() -> None:
    """They are refused later, by name."""
    found = color_message().decode([b"\x08\x01"], SCHEMA[1:])
    assert found.to_pylist()[0]["c"] == 1
