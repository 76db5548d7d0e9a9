"""Checks data in Avro's binary encoding by walking over it; no value is built.

A reader that builds values could be made to fill the memory, or to loop, by a few hostile bytes.
"""

from __future__ import annotations

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

_SIZES = {"null": 0, "float": 4, "double": 8}
_VARINT_BYTES_MAX = 10
_INT_MIN, _INT_MAX = -(2**31), 2**31 - 1


def check(schema: Type, data: bytes) -> None:
    """Refuse data that is not one value of the schema and nothing else.

    Raises:
        Mismatch: saying at which byte.
    """
    end = _walk(schema, data, 0, 0)
    if end < len(data):
        raise Mismatch(f"{len(data) - end} bytes are left behind the value, from byte {end} on")


def _walk(schema: Type, data: bytes, at: int, depth: int) -> int:
    """Return where the value that begins at a byte ends."""
    if depth > DEPTH_MAX:
        raise Mismatch(f"it is nested deeper than {DEPTH_MAX} levels")
    match schema:
        case Primitive(name=name):
            end = _primitive(name, data, at)
        case Record(fields=fields):
            end = at
            for field in fields:
                end = _walk(field.type, data, end, depth + 1)
        case Union(branches=branches):
            index, end = _index(data, at, len(branches), "branch of a union")
            end = _walk(branches[index], data, end, depth + 1)
        case Array(items=items):
            end = _blocks(items, data, at, depth + 1, keyed=False)
        case Map(values=values):
            end = _blocks(values, data, at, depth + 1, keyed=True)
        case Fixed(size=size):
            end = _skip(data, at, size)
        case Enum(symbols=symbols):
            _, end = _index(data, at, len(symbols), "symbol of an enum")
    return end


def _primitive(name: str, data: bytes, at: int) -> int:
    if name in _SIZES:
        return _skip(data, at, _SIZES[name])
    if name == "boolean":
        if data[at : at + 1] not in (b"\0", b"\1"):
            raise Mismatch(f"byte {at} is not a boolean")
        return at + 1
    value, end = _long(data, at)
    if name == "int" and not _INT_MIN <= value <= _INT_MAX:
        raise Mismatch(f"the int at byte {at} has more than 32 bits")
    if name in ("bytes", "string"):
        return _text(name, data, end, value)
    return end


def _text(name: str, data: bytes, at: int, size: int) -> int:
    if size < 0:
        raise Mismatch(f"the {name} before byte {at} has a negative length")
    end = _skip(data, at, size)
    if name == "string":
        try:
            data[at:end].decode()
        except UnicodeDecodeError:
            raise Mismatch(f"the string at byte {at} is not UTF-8") from None
    return end


def _blocks(items: Type, data: bytes, at: int, depth: int, *, keyed: bool) -> int:
    while True:
        count, at = _long(data, at)
        if count == 0:
            return at
        if count < 0:  # the size of the block in bytes follows
            _, at = _long(data, at)
        for _ in range(abs(count)):
            start = at
            if keyed:
                at = _primitive("string", data, at)
            at = _walk(items, data, at, depth)
            if at == start:
                break  # items of no bytes: however many there are, they end here


def _index(data: bytes, at: int, count: int, what: str) -> tuple[int, int]:
    index, end = _long(data, at)
    if not 0 <= index < count:
        raise Mismatch(f"byte {at} names {what} {index}, and there are {count}")
    return index, end


def _long(data: bytes, at: int) -> tuple[int, int]:
    """Return a number in zigzag encoding, and where it ends."""
    value = shift = 0
    for byte in data[at : at + _VARINT_BYTES_MAX]:
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            return (value >> 1) ^ -(value & 1), at
    raise Mismatch(f"the data ends, or a number does not, at byte {at}")


def _skip(data: bytes, at: int, size: int) -> int:
    if size > len(data) - at:
        raise Mismatch(f"{size} bytes are needed from byte {at} on, and there are {len(data) - at}")
    return at + size
