"""Checks data in Avro's JSON encoding.

A value of a union is null or an object whose one key names the branch; bytes are a string of
characters up to U+00FF. Every field must be there and no other: a default serves who reads data
of an older schema, not who writes. Google's emulator has it so too.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from connectors.broker.schemas.avro_types import (
    Array,
    Enum,
    Fixed,
    Map,
    Primitive,
    Record,
    Type,
    Union,
)
from connectors.broker.schemas.definition import DEPTH_MAX, Mismatch

__all__ = ["check"]

_BITS = {"int": 31, "long": 63}
_NOT_FINITE = ("NaN", "Infinity", "-Infinity")
_LATIN_MAX = "\xff"


def check(schema: Type, data: bytes) -> None:
    """Refuse data that is not one value of the schema.

    Raises:
        Mismatch: naming the field.
    """
    try:
        value = msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise Mismatch(f"it is not JSON: {error}") from None
    _walk(schema, value, "$", 0)


def _walk(schema: Type, value: Any, path: str, depth: int) -> None:
    if depth > DEPTH_MAX:
        raise Mismatch(f"it is nested deeper than {DEPTH_MAX} levels")
    match schema:
        case Primitive(name=name):
            _expect(_is_primitive(name, value), path, name, value)
        case Record():
            _record(schema, value, path, depth + 1)
        case Union():
            _union(schema, value, path, depth + 1)
        case Array(items=items):
            _expect(isinstance(value, list), path, "an array", value)
            _each(items, enumerate(value), path, depth + 1)
        case Map(values=values):
            _expect(isinstance(value, dict), path, "a map", value)
            _each(values, value.items(), path, depth + 1)
        case Fixed(size=size):
            fits = _is_latin(value) and len(value) == size
            _expect(fits, path, f"{size} characters up to U+00FF", value)
        case Enum(symbols=symbols):
            _expect(value in symbols, path, f"one of {', '.join(symbols)}", value)


def _each(schema: Type, items: Iterable[tuple[int | str, Any]], path: str, depth: int) -> None:
    for key, value in items:
        _walk(schema, value, f"{path}[{key!r}]", depth)


def _record(record: Record, value: Any, path: str, depth: int) -> None:
    _expect(isinstance(value, dict), path, f"a record {record.name}", value)
    unknown = value.keys() - {field.name for field in record.fields}
    if unknown:
        raise Mismatch(
            f"{path} has fields that {record.name} has not: {', '.join(sorted(unknown))}"
        )
    for field in record.fields:
        if field.name in value:
            _walk(field.type, value[field.name], f"{path}.{field.name}", depth)
        else:
            hint = "; a default serves readers alone" if field.has_default else ""
            raise Mismatch(f"{path}.{field.name} is missing{hint}")


def _union(union: Union, value: Any, path: str, depth: int) -> None:
    branches = {each.name: each for each in union.branches}
    names = ", ".join(branches)
    if value is None:
        _expect("null" in branches, path, f"one of {names}", value)
        return
    named = isinstance(value, dict) and len(value) == 1 and next(iter(value)) in branches
    _expect(named, path, f'an object like {{"{union.branches[-1].name}": ...}} of {names}', value)
    [(name, inner)] = value.items()
    _walk(branches[name], inner, path, depth)


def _is_primitive(name: str, value: Any) -> bool:
    match name:
        case "null":
            return value is None
        case "boolean":
            return isinstance(value, bool)
        case "int" | "long":
            limit = 1 << _BITS[name]
            return type(value) is int and -limit <= value < limit
        case "float" | "double":
            return type(value) in (int, float) or value in _NOT_FINITE
        case "bytes":
            return _is_latin(value)
        case _:
            return isinstance(value, str)


def _is_latin(value: Any) -> bool:
    return isinstance(value, str) and max(value, default="") <= _LATIN_MAX


def _expect(holds: bool, path: str, what: str, value: Any) -> None:
    if not holds:
        shown = msgspec.json.encode(value)[:40].decode(errors="ignore")
        raise Mismatch(f"{path} must be {what}, not {shown}")
