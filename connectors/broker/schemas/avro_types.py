"""Avro schemas as a small tree of types; names are resolved, so that a type may hold itself.

The schema is parsed by fastavro, which knows the rules of names and defaults. What it lets pass
and the specification (https://avro.apache.org/docs/1.12.0/specification/) does not is refused here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import msgspec

from connectors.broker.schemas.definition import Mismatch

__all__ = [
    "Array",
    "Enum",
    "Field",
    "Fixed",
    "Map",
    "Primitive",
    "Record",
    "Type",
    "Union",
    "parse",
]


@dataclass(frozen=True)
class Primitive:
    """null, boolean, int, long, float, double, bytes or string."""

    name: str


@dataclass(frozen=True)
class Fixed:
    """That many bytes."""

    name: str
    size: int


@dataclass(frozen=True)
class Enum:
    """One of the symbols."""

    name: str
    symbols: tuple[str, ...]
    has_default: bool


@dataclass(frozen=True)
class Array:
    """Any number of items."""

    items: Type
    name: str = "array"


@dataclass(frozen=True)
class Map:
    """Values by string."""

    values: Type
    name: str = "map"


@dataclass(frozen=True)
class Union:
    """One of the branches."""

    branches: tuple[Type, ...]
    name: str = "union"


@dataclass(frozen=True)
class Field:
    """A field of a record; its default is for data of schemas that lack it."""

    name: str
    type: Type
    has_default: bool
    aliases: tuple[str, ...] = ()


@dataclass(eq=False)
class Record:
    """Fields in order; filled in after it was made, for it may hold itself."""

    name: str
    fields: list[Field] = field(default_factory=list)


Type = Primitive | Fixed | Enum | Array | Map | Union | Record

_NAME = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*", re.ASCII)
_PRIMITIVES = {
    name: Primitive(name)
    for name in ("null", "boolean", "int", "long", "float", "double", "bytes", "string")
}


def parse(text: str) -> Type:
    """Return the type that an Avro schema in JSON defines.

    Raises:
        Mismatch: it is not an Avro schema; the text says why.
    """
    from fastavro.schema import (  # noqa: PLC0415 - it takes time to import, and few topics have schemas
        SchemaParseException,
        UnknownType,
        parse_schema,
    )

    try:
        value = msgspec.json.decode(text, type=str | list | dict)
        return _Resolver().resolve(parse_schema(value, named_schemas={}, _write_hint=False))
    except Mismatch:
        raise
    except KeyError as error:
        raise Mismatch(f"a type has no {error}") from None
    except UnknownType as error:
        raise Mismatch(f"{error.name!r} is not a type") from None
    except (SchemaParseException, msgspec.DecodeError, TypeError, ValueError) as error:
        raise Mismatch(f"it is not an Avro schema: {error}") from None
    except RecursionError:
        raise Mismatch("it is nested too deeply") from None


class _Resolver:
    """Turns what fastavro has parsed into types."""

    def __init__(self) -> None:
        self._named: dict[str, Type] = {}

    def resolve(self, parsed: Any) -> Type:
        """Return the type of a parsed schema."""
        if isinstance(parsed, str):
            return _PRIMITIVES.get(parsed) or self._named[parsed]
        if isinstance(parsed, list):
            return self._union(parsed)
        kind = parsed["type"]
        if kind == "array":
            return Array(self.resolve(parsed["items"]))
        if kind == "map":
            return Map(self.resolve(parsed["values"]))
        if kind in ("fixed", "enum", "record", "error"):
            return self._define(kind, parsed)
        return self.resolve(kind)

    def _union(self, parsed: list[Any]) -> Union:
        branches = tuple(self.resolve(each) for each in parsed)
        names = [each.name for each in branches]
        if "union" in names:
            raise Mismatch("a union holds a union")
        if len(set(names)) < len(names):
            raise Mismatch(f"a union holds a type twice: {', '.join(names)}")
        return Union(branches)

    def _define(self, kind: str, parsed: dict[str, Any]) -> Type:
        name = parsed["name"]
        if not _NAME.fullmatch(name):
            raise Mismatch(f"{name!r} is not a name: letters, digits and _, no digit first")
        defined: Type
        if kind == "fixed":
            if type(parsed["size"]) is not int or parsed["size"] < 0:
                raise Mismatch(f"the size of fixed {name} must be a number of bytes")
            defined = Fixed(name, parsed["size"])
        elif kind == "enum":
            defined = Enum(name, tuple(parsed["symbols"]), "default" in parsed)
        else:
            return self._record(name, parsed["fields"])
        self._named[name] = defined
        return defined

    def _record(self, name: str, fields: list[dict[str, Any]]) -> Record:
        record = self._named[name] = Record(name)
        for each in fields:
            aliases = tuple(each.get("aliases", ()))
            type_ = self.resolve(each["type"])
            record.fields.append(Field(each["name"], type_, "default" in each, aliases))
        names = [each.name for each in record.fields]
        if len(set(names)) < len(names):
            raise Mismatch(f"record {name} has a field twice: {', '.join(names)}")
        return record
