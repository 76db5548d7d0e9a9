"""Avro schemas: what is a definition, what is a message of it, what may follow it."""

import io
import json
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.broker.schemas.avro import Avro
from connectors.broker.schemas.definition import BINARY, JSON, Mismatch

TREE = {
    "type": "record",
    "name": "shop.Item",
    "fields": [
        {"name": "inside", "type": ["null", "Item"], "default": None},
        {"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["A", "B"]}},
        {"name": "code", "type": {"type": "fixed", "name": "Code", "size": 3}},
        {"name": "counts", "type": {"type": "map", "values": "int"}},
        {"name": "gaps", "type": {"type": "array", "items": "null"}},
        {"name": "tags", "type": {"type": "array", "items": ["string", "bytes"]}},
        {"name": "price", "type": "double"},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "other", "type": "Kind"},
    ],
}


FIXED = {"type": "fixed", "name": "F", "size": 2}


def item(inside: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """Return a value of ``TREE``."""
    value = {
        "inside": inside, "kind": "B", "code": b"abc", "counts": {"x": 1, "y": -7},
        "gaps": [None, None], "tags": ["é", b"\xff\0"], "price": 1.5, "at": 2**40, "other": "A",
    }  # fmt: skip
    return value | changes


def binary(schema: Any, value: Any) -> bytes:
    """Return a value as fastavro writes it."""
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema), value)
    return out.getvalue()


def text(schema: Any, value: Any) -> bytes:
    """Return a value as fastavro writes it in JSON."""
    out = io.StringIO()
    fastavro.json_writer(out, fastavro.parse_schema(schema), [value])
    return out.getvalue().encode()


def one_field(type_: Any, **more: Any) -> dict[str, Any]:
    """Return a record with one field."""
    return {"type": "record", "name": "R", "fields": [{"name": "x", "type": type_, **more}]}


def avro(schema: Any) -> Avro:
    """Return a definition."""
    return Avro(json.dumps(schema))


@pytest.mark.parametrize("value", [item(), item(item(item())), item(gaps=[], tags=[], counts={})])
def test_what_another_writer_wrote_passes(value: dict[str, Any]) -> None:
    """Of every type there is."""
    avro(TREE).check(BINARY, binary(TREE, value))


@pytest.mark.parametrize("value", [item(), item(gaps=[], tags=[], counts={})])
def test_what_another_writer_wrote_in_json_passes(value: dict[str, Any]) -> None:
    """Of every type there is; a union names its branch."""
    avro(TREE).check(JSON, text(TREE, value))


def test_every_truncation_and_every_addition_is_refused() -> None:
    """Binary data has no marks: its end alone tells that it is whole."""
    data = binary(TREE, item(item()))
    for end in range(len(data)):
        with pytest.raises(Mismatch):
            avro(TREE).check(BINARY, data[:end])
    with pytest.raises(Mismatch, match="1 bytes are left"):
        avro(TREE).check(BINARY, data + b"\0")


@given(st.binary(max_size=60))
def test_any_bytes_pass_or_are_refused(data: bytes) -> None:
    """Nothing else is raised, whatever the bytes; what passes, fastavro can read."""
    for encoding in (BINARY, JSON):
        try:
            avro(TREE).check(encoding, data)
        except Mismatch:
            continue
        if encoding == BINARY:
            fastavro.schemaless_reader(io.BytesIO(data), fastavro.parse_schema(TREE), None)


@pytest.mark.parametrize(
    ("type_", "data", "why"),
    [
        ("boolean", b"\2", "not a boolean"),
        ("int", b"\x80\x80\x80\x80\x10", "more than 32 bits"),
        ("string", b"\1", "negative length"),
        ("string", b"\2\xff", "not UTF-8"),
        ("bytes", b"\xfe\xff\xff\xff\xff\xff\xff\xff\xff\1", "are needed"),
        (["null", "int"], b"\4", "branch of a union 2, and there are 2"),
        ({"type": "enum", "name": "E", "symbols": ["A"]}, b"\1", "symbol of an enum -1"),
        ("long", b"\xff" * 11, "or a number does not"),
    ],
)
def test_binary_faults_are_named(type_: Any, data: bytes, why: str) -> None:
    """Each kind of fault says what is wrong."""
    with pytest.raises(Mismatch, match=why):
        avro(one_field(type_)).check(BINARY, data)


def test_a_few_bytes_can_not_keep_the_broker_busy() -> None:
    """An array of 2**62 nulls takes no longer than one of two."""
    count = b"\xfe\xff\xff\xff\xff\xff\xff\xff\x7f"
    avro(one_field({"type": "array", "items": "null"})).check(BINARY, count + b"\0")


def test_depth_is_bounded_in_both_encodings() -> None:
    """A list of records, each in the one before, ends at the bound and not in the stack."""
    chain = {
        "type": "record",
        "name": "R",
        "fields": [{"name": "next", "type": ["null", "R"], "default": None}],
    }
    deep = b"\2" * 100_000 + b"\0"
    with pytest.raises(Mismatch, match="deeper"):
        avro(chain).check(BINARY, deep)
    for levels in (60, 100_000):
        nested = b'{"next":{"R":' * levels + b"{}" + b"}}" * levels
        with pytest.raises(Mismatch, match=r"deeper|not JSON"):
            avro(chain).check(JSON, nested)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (b"{", "not JSON"),
        (b"[]", "must be a record"),
        (b"{}", r"\$.x is missing"),
        (b'{"x":1,"y":2}', "that R has not: y"),
        (b'{"x":1.0}', "must be int, not 1.0"),
        (b'{"x":true}', "must be int, not true"),
        (b'{"x":2147483648}', "must be int"),
        (b'{"x":null}', "must be int, not null"),
    ],
)
def test_json_faults_name_the_field(value: bytes, why: str) -> None:
    """Each kind of fault says where it is and what was expected."""
    with pytest.raises(Mismatch, match=why):
        avro(one_field("int")).check(JSON, value)


@pytest.mark.parametrize(
    ("type_", "good", "bad"),
    [
        (["null", "string"], '{"string":"a"}', '"a"'),
        (["null", "string"], "null", '{"int":1}'),
        ("bytes", '"\\u00ff"', '"\\u0100"'),
        ("double", '"NaN"', '"nan"'),
        ("float", "3", '"3"'),
        ({"type": "fixed", "name": "F", "size": 2}, '"ab"', '"abc"'),
        ({"type": "map", "values": "long"}, '{"a":1}', '{"a":"1"}'),
        ({"type": "array", "items": "boolean"}, "[true]", "[0]"),
    ],
)
def test_json_encoding_is_that_of_avro(type_: Any, good: str, bad: str) -> None:
    """A value of a union names its branch; bytes are characters up to U+00FF."""
    definition = avro(one_field(type_))
    definition.check(JSON, f'{{"x":{good}}}'.encode())
    with pytest.raises(Mismatch):
        definition.check(JSON, f'{{"x":{bad}}}'.encode())


def test_a_default_does_not_stand_for_a_field() -> None:
    """It is for those who read data of a schema without the field."""
    with pytest.raises(Mismatch, match=r"\$\.x is missing; a default serves readers"):
        avro(one_field("int", default=0)).check(JSON, b"{}")


@pytest.mark.parametrize(
    "definition",
    [
        "", "[", "3", "null", '"nope"', "{}", '{"type":"array"}', '{"type":"fixed","name":"F"}',
        '{"type":"fixed","name":"F","size":-1}', '["int","int"]', '[["int"],"string"]',
        '{"type":"record","name":"9","fields":[]}',
        '{"type":"enum","name":"E","symbols":["A","A"]}',
        '{"type":"record","name":"R","fields":[{"name":"x","type":"int"},{"name":"x","type":"int"}]}',
        '{"type":"record","name":"R","fields":[{"name":"x","type":"int","default":"s"}]}',
    ],
)  # fmt: skip
def test_what_is_no_avro_schema_is_refused(definition: str) -> None:
    """By a mismatch, which is told to the client, and by nothing else."""
    with pytest.raises(Mismatch):
        Avro(definition)


@pytest.mark.parametrize(
    ("before", "after", "follows"),
    [
        (one_field("int"), one_field("int"), True),
        (one_field("int"), one_field("long"), False),  # the earlier one can't read longs
        (one_field("string"), one_field("bytes"), True),
        (one_field("int"), one_field(["null", "int"]), False),
        (one_field(["null", "int"]), one_field(["int", "null"]), True),
        (one_field("int"), {"type": "record", "name": "S", "fields": []}, False),
        (one_field("int"), {"type": "record", "name": "n.R", "fields": []}, False),
        (one_field("int", default=0), {"type": "record", "name": "n.R", "fields": []}, True),
        ({"type": "record", "name": "R", "fields": []}, one_field("int"), False),
        ({"type": "record", "name": "R", "fields": []}, one_field("int", default=1), True),
        (TREE, TREE, True),
        ("int", "string", False),
        ({"type": "array", "items": "int"}, {"type": "map", "values": "int"}, False),
        (FIXED, FIXED | {"size": 3}, False),
        (
            {"type": "enum", "name": "E", "symbols": ["A", "B"], "default": "A"},
            {"type": "enum", "name": "E", "symbols": ["A", "C"], "default": "A"},
            True,
        ),
        (
            {"type": "enum", "name": "E", "symbols": ["A", "B"]},
            {"type": "enum", "name": "E", "symbols": ["A", "B", "C"]},
            False,
        ),
    ],
)  # fmt: skip
def test_a_revision_must_read_and_be_read(before: Any, after: Any, follows: bool) -> None:
    """Avro's rules of resolution hold in both directions."""
    if follows:
        avro(after).check_follows(avro(before))
    else:
        with pytest.raises(Mismatch):
            avro(after).check_follows(avro(before))
