"""Avro schemas: what a topic's messages are checked against, and what may follow what."""

from __future__ import annotations

from connectors.broker.schemas import avro_binary, avro_json
from connectors.broker.schemas.avro_types import (
    Array,
    Enum,
    Fixed,
    Map,
    Primitive,
    Record,
    Type,
    Union,
    parse,
)
from connectors.broker.schemas.definition import JSON, Definition, Mismatch

__all__ = ["Avro"]

_PROMOTIONS = {
    ("int", "long"), ("int", "float"), ("int", "double"), ("long", "float"), ("long", "double"),
    ("float", "double"), ("string", "bytes"), ("bytes", "string"),
}  # fmt: skip


class Avro:
    """An Avro schema.

    Args:
        text: of the definition, JSON.

    Raises:
        Mismatch: it is not an Avro schema.
    """

    kind = "AVRO"

    def __init__(self, text: str) -> None:
        self.type = parse(text)

    def check(self, encoding: str, data: bytes) -> None:
        """Refuse data that is not of this schema (``Definition.check``)."""
        (avro_json if encoding == JSON else avro_binary).check(self.type, data)

    def check_follows(self, earlier: Definition) -> None:
        """Refuse a revision with which data of the earlier one, or the other way, can't be read.

        Raises:
            Mismatch: they are not resolved in both directions, as Avro's specification defines it.
        """
        if not isinstance(earlier, Avro):
            raise Mismatch("the type of a schema can't change")
        if not _reads(self.type, earlier.type, set()):
            raise Mismatch("it can't read data of the revision before it")
        if not _reads(earlier.type, self.type, set()):
            raise Mismatch("the revision before it can't read its data")


def _reads(reader: Type, writer: Type, assumed: set[tuple[int, int]]) -> bool:
    """Tell whether a reader's schema resolves a writer's.

    Args:
        reader: schema of who reads.
        writer: schema of the data.
        assumed: pairs that are being compared further out, for records may hold themselves.
    """
    if isinstance(writer, Union):
        return all(_reads(reader, branch, assumed) for branch in writer.branches)
    if isinstance(reader, Union):
        return any(_reads(branch, writer, assumed) for branch in reader.branches)
    return _reads_alike(reader, writer, assumed)


def _reads_alike(reader: Type, writer: Type, assumed: set[tuple[int, int]]) -> bool:
    """Tell whether a reader's schema resolves a writer's, neither of them a union."""
    reads = False
    match reader, writer:
        case Primitive(name=wanted), Primitive(name=given):
            reads = wanted == given or (given, wanted) in _PROMOTIONS
        case Fixed(), Fixed():
            reads = _short(reader) == _short(writer) and reader.size == writer.size
        case Enum(), Enum():
            known = set(writer.symbols) <= set(reader.symbols) or reader.has_default
            reads = _short(reader) == _short(writer) and known
        case Array(), Array():
            reads = _reads(reader.items, writer.items, assumed)
        case Map(), Map():
            reads = _reads(reader.values, writer.values, assumed)
        case Record(), Record():
            reads = _reads_record(reader, writer, assumed)
    return reads


def _reads_record(reader: Record, writer: Record, assumed: set[tuple[int, int]]) -> bool:
    pair = id(reader), id(writer)
    if pair in assumed:
        return True
    assumed = {*assumed, pair}
    given = {field.name: field for field in writer.fields}
    for field in reader.fields:
        name = next((each for each in (field.name, *field.aliases) if each in given), None)
        if name is None:
            if not field.has_default:
                return False
        elif not _reads(field.type, given[name].type, assumed):
            return False
    return _short(reader) == _short(writer)


def _short(type_: Fixed | Enum | Record) -> str:
    """Return the name without its namespace, by which the specification compares."""
    return type_.name.rpartition(".")[2]
