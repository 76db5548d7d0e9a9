"""Protocol buffer rows: proto2 presence, well-known types, and rows that can't be read."""

import pytest
from google.protobuf import descriptor_pb2

from connectors.bigquery_local.errors import Refusal, RowsRefused
from connectors.bigquery_local.rows_proto import ProtoRows

_F = descriptor_pb2.FieldDescriptorProto


def descriptor(*fields: tuple[str, int, str]) -> descriptor_pb2.DescriptorProto:
    """Return the descriptor of a message with optional fields."""
    found = descriptor_pb2.DescriptorProto(name="Row")
    for number, (name, kind, inner) in enumerate(fields, 1):
        found.field.add(
            name=name, number=number, type=kind, type_name=inner or None, label=_F.LABEL_OPTIONAL
        )  # fmt: skip
    return found


def test_missing_is_not_zero() -> None:
    """A field that is set to its type's zero is there; one that is not set is NULL."""
    rows = ProtoRows(descriptor(("a", _F.TYPE_INT64, ""), ("b", _F.TYPE_STRING, "")))
    zero = b"\x08\x00\x12\x00"
    assert rows.decode([zero, b""], ()).to_pylist() == [{"a": 0, "b": ""}, {"a": None, "b": None}]


def test_well_known_types() -> None:
    """Wrappers are values that may be missing; Timestamp is an instant."""
    rows = ProtoRows(
        descriptor(
            ("n", _F.TYPE_MESSAGE, ".google.protobuf.Int64Value"),
            ("t", _F.TYPE_MESSAGE, ".google.protobuf.Timestamp"),
        )
    )
    found = rows.decode([b"\x0a\x00\x12\x02\x08\x05", b""], ()).to_pylist()
    assert found[0]["n"] == 0
    assert found[0]["t"].timestamp() == 5
    assert found[1] == {"n": None, "t": None}


def test_unreadable_rows_are_named() -> None:
    """The others are good, and still none is returned."""
    rows = ProtoRows(descriptor(("a", _F.TYPE_STRING, "")))
    with pytest.raises(RowsRefused) as caught:
        rows.decode([b"", b"\xff", b"\x0a\x01x", b"\x0a\x05x"], ())
    assert list(caught.value.rows) == [1, 3]


@pytest.mark.parametrize("inner", [".pkg.Other", "Other"])
def test_incomplete_descriptor(inner: str) -> None:
    """It must hold every type that it names."""
    with pytest.raises(Refusal, match="Invalid proto schema"):
        ProtoRows(descriptor(("a", _F.TYPE_MESSAGE, inner)))


def test_descriptor_without_a_name() -> None:
    """There is nothing to read rows with."""
    with pytest.raises(Refusal, match="Invalid proto schema"):
        ProtoRows(descriptor_pb2.DescriptorProto())
