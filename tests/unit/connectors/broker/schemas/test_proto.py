"""Protocol buffer schemas: what is a definition, what is a message of it, what may follow it."""

import asyncio
from contextlib import suppress

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from hypothesis import given
from hypothesis import strategies as st

from connectors.broker.schemas import protoc
from connectors.broker.schemas.definition import BINARY, JSON, Mismatch
from connectors.broker.schemas.proto import Proto, only_message

pytest.importorskip("grpc_tools")

STATE = """
syntax = "proto3";
package geo;
message State {
  string name = 1;
  int32 people = 2;
  repeated State neighbours = 3;
  enum Coast { NONE = 0; WEST = 1; }
  Coast coast = 4;
}
"""


def proto(text: str) -> Proto:
    """Return a definition."""
    files = asyncio.run(protoc.compiled(text))
    return Proto(files, only_message(files))


@pytest.fixture(scope="module")
def state() -> Proto:
    """Return the definition of a state."""
    return proto(STATE)


def test_messages_pass_in_both_encodings(state: Proto) -> None:
    """JSON by the mapping of protocol buffers, names in either style."""
    state.check(JSON, b'{"name":"Alaska","people":1,"coast":"WEST","neighbours":[{}]}')
    state.check(BINARY, b"\n\6Alaska\x10\1 \1\x1a\0")
    state.check(BINARY, b"")


@pytest.mark.parametrize(
    "data", [b"", b"[]", b'{"nam":"x"}', b'{"people":"many"}', b'{"coast":"EAST"}', b"\xff"]
)
def test_other_json_is_refused(state: Proto, data: bytes) -> None:
    """An unknown field too: it is a name that somebody mistyped."""
    with pytest.raises(Mismatch, match=r"geo\.State"):
        state.check(JSON, data)


@pytest.mark.parametrize("data", [b"\n\6Ala", b"\n", b"\x08\xff", b"\n\1\xff", b"\7"])
def test_other_bytes_are_refused(state: Proto, data: bytes) -> None:
    """What protocol buffers can't parse, text that is not UTF-8 included."""
    with pytest.raises(Mismatch):
        state.check(BINARY, data)


@given(st.binary(max_size=40))
def test_any_bytes_pass_or_are_refused(data: bytes) -> None:
    """Nothing else is raised, whatever the bytes."""
    files = FileDescriptorSet()
    file = files.file.add(name="a.proto", syntax="proto2")
    message = file.message_type.add(name="A")
    message.field.add(name="x", number=1, type=9, label=2)
    message.field.add(name="a", number=2, type=11, label=1, type_name=".A")
    definition = Proto(files.SerializeToString(), "A")
    for encoding in (BINARY, JSON):
        with suppress(Mismatch):
            definition.check(encoding, data)


def test_required_fields_are_required() -> None:
    """Of the older syntax, which has them."""
    definition = proto('syntax = "proto2"; message A { required string x = 1; }')
    definition.check(JSON, b'{"x":""}')
    for encoding, data in ((BINARY, b""), (JSON, b"{}")):
        with pytest.raises(Mismatch, match="x"):
            definition.check(encoding, data)


def test_depth_is_bounded_in_both_encodings(state: Proto) -> None:
    """A message in a message ends at the bound and not in the stack."""
    nested = b'{"neighbours":[' * 5_000 + b"{}" + b"]}" * 5_000
    with pytest.raises(Mismatch):
        state.check(JSON, nested)
    data = b""
    for _ in range(200):
        size = len(data)
        head = bytes([size & 0x7F | 0x80, size >> 7]) if size > 127 else bytes([size])
        data = b"\x1a" + head + data
    with pytest.raises(Mismatch):
        state.check(BINARY, data)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('syntax = "proto3"; message A { string x = ; }', "schema.proto:1:43"),
        ('syntax = "proto3"; message A {} message B {}', "2 types"),
        ('syntax = "proto3"; message A {} enum E { N = 0; }', "2 types"),
        ('syntax = "proto3"; enum E { N = 0; }', "1 types"),
        ('syntax = "proto3";', "0 types"),
        ('syntax = "proto3"; import "google/protobuf/any.proto"; message A {}', "imports"),
        ('syntax = "proto3"; import "/etc/hostname"; message A {}', "does not compile"),
    ],
)
def test_what_is_no_definition_is_refused(text: str, why: str) -> None:
    """With the compiler's words where it is the compiler that refuses."""
    with pytest.raises(Mismatch, match=why):
        proto(text)


def test_compiled_files_must_make_sense() -> None:
    """They come from a client, and may be anything."""
    for files, root in (
        (b"\xff\xff", "A"),
        (b"", "A"),
        (FileDescriptorSet().SerializeToString(), ""),
    ):
        with pytest.raises(Mismatch):
            Proto(files, root)


@pytest.mark.parametrize(
    ("change", "follows"),
    [
        (("string name = 1;", "string name = 1; bool capital = 9;"), True),
        (("int32 people = 2;", ""), True),
        (("string name = 1;", "bytes name = 1;"), False),
        (("string name = 1;", "string title = 1;"), False),
        (("string name = 1;", "repeated string name = 1;"), False),
        (("WEST = 1;", "WEST = 1; EAST = 2;"), True),
    ],
)
def test_a_revision_adds_or_removes_optional_fields(
    state: Proto, change: tuple[str, str], follows: bool
) -> None:
    """Nothing else: existing fields can't be edited."""
    later = proto(STATE.replace(*change))
    if follows:
        later.check_follows(state)
    else:
        with pytest.raises(Mismatch, match="name"):
            later.check_follows(state)


def test_required_fields_are_neither_added_nor_removed() -> None:
    """Either the old or the new messages would not be of the other revision."""
    bare = proto('syntax = "proto2"; message A { optional int32 y = 2; }')
    strict = proto('syntax = "proto2"; message A { optional int32 y = 2; required int32 x = 1; }')
    for later, earlier in ((bare, strict), (strict, bare)):
        with pytest.raises(Mismatch, match="required"):
            later.check_follows(earlier)
