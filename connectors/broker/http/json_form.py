"""Protocol buffers from JSON and back, as the REST API has them.

``json_format`` of protobuf does the work. It lets some faults pass; those are checked here before.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec
from google.protobuf import json_format

from connectors.broker import schema
from connectors.broker.errors import InvalidArgument

__all__ = ["decode_json", "from_json", "put", "query_value", "to_json"]

_BASE64 = re.compile(r"[A-Za-z0-9+/_-]*={0,2}")
_NESTING_MAX = 100


def decode_json(body: bytes) -> dict[str, Any]:
    """Return the JSON object that a body is; nothing is an empty object.

    Raises:
        InvalidArgument: it is no JSON, or no object.
    """
    if not body.strip():
        return {}
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidArgument("request", f"{len(body)} bytes", f"no JSON: {error}") from None
    if not isinstance(value, dict):
        kind = type(value).__name__
        raise InvalidArgument("request", kind, "must be an object")
    return value


def from_json(kind: Any, value: dict[str, Any]) -> Any:
    """Return a message with the fields of a JSON object.

    Args:
        kind: class of the message.
        value: with names of fields in camelCase or snake_case.

    Raises:
        InvalidArgument: a field is unknown, or its value is not what it can be.
    """
    try:
        _check(kind.DESCRIPTOR, value, "")
        return json_format.ParseDict(
            value, kind(), descriptor_pool=schema.POOL, max_recursion_depth=_NESTING_MAX
        )
    except (json_format.ParseError, RecursionError) as error:
        text = " ".join(str(error).replace("(except extensions)", "").split()).rstrip(".")
        raise InvalidArgument("request", kind.DESCRIPTOR.name, text) from None


def to_json(message: Any, *, pretty: bool, enums_as_numbers: bool = False) -> bytes:
    """Return a message as a JSON object; fields at their default are left out."""
    value = json_format.MessageToDict(
        message, descriptor_pool=schema.POOL, use_integers_for_enums=enums_as_numbers
    )
    text = msgspec.json.encode(value)
    return msgspec.json.format(text, indent=2) + b"\n" if pretty else text


def put(target: dict[str, Any], path: str, value: Any) -> None:
    """Set a field of a JSON object, in objects of its own where the path is dotted.

    Raises:
        InvalidArgument: what the path leads through is no object.
    """
    *outer, last = path.split(".")
    for name in outer:
        target = target.setdefault(name, {})
        if not isinstance(target, dict):
            raise InvalidArgument(name, repr(target)[:50], "must be an object")
    target[last] = value


def query_value(kind: Any, path: str, values: list[str]) -> Any:
    """Return the JSON value of a field that was given in the query of a URL.

    Args:
        kind: class of the message.
        path: of the field, dotted.
        values: as given, one or more.

    Raises:
        InvalidArgument: there is no such field, or several values for one that takes one.
    """
    field = _field_at(kind.DESCRIPTOR, path)
    if field is None:
        raise InvalidArgument(
            "query",
            repr(path),
            f"unknown name: {kind.DESCRIPTOR.name} has no such field",
        )
    texts = [_truth(text) if field.type == field.TYPE_BOOL else text for text in values]
    if _repeated(field):
        return texts
    if len(texts) > 1:
        raise InvalidArgument("query", repr(path), "may be given once")
    return texts[0]


def _truth(text: str) -> bool | str:
    return {"true": True, "false": False, "1": True, "0": False}.get(text.lower(), text)


def _field_at(descriptor: Any, path: str) -> Any:
    """Return the field of that path, None if there is none or its value can't be in a query."""
    field = None
    for name in path.split("."):
        if descriptor is None:
            return None
        field = descriptor.fields_by_name.get(name) or descriptor.fields_by_camelcase_name.get(name)
        if field is None:
            return None
        descriptor = None if _repeated(field) else field.message_type
    # Durations, times and masks are strings in JSON; other messages are objects.
    well_known = descriptor is not None and descriptor.full_name.startswith("google.protobuf.")
    return field if descriptor is None or well_known else None


def _check(descriptor: Any, value: Any, path: str) -> None:
    """Refuse what ``json_format`` would let pass: bad base64, and lists and texts for objects."""
    if descriptor.full_name.startswith("google.protobuf.") or value is None:
        return
    if not isinstance(value, dict):
        raise InvalidArgument(path.rstrip("."), repr(value)[:50], "must be an object")
    for name, inner in value.items():
        field = descriptor.fields_by_camelcase_name.get(name) or descriptor.fields_by_name.get(name)
        if field is not None:
            for each in inner if _repeated(field) and isinstance(inner, list) else (inner,):
                _check_one(field, each, path + name)


def _check_one(field: Any, value: Any, path: str) -> None:
    if field.type == field.TYPE_BYTES and isinstance(value, str):
        if not _BASE64.fullmatch(value) or len(value.rstrip("=")) % 4 == 1:
            raise InvalidArgument(path, repr(value[:50]), "must be base64")
    elif field.message_type is not None and not field.message_type.GetOptions().map_entry:
        _check(field.message_type, value, path + ".")


def _repeated(field: Any) -> bool:
    return bool(field.is_repeated)
