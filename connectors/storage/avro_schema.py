"""The Avro schema of an Arrow schema. Pure functions.

| Arrow | Avro |
|---|---|
| boolean; float16, float32; float64 | boolean; float; double |
| integers of up to 32 bits (unsigned: 16); others | int; long |
| text; binary | string; bytes |
| timestamp | timestamp-micros, without zone local-timestamp-micros |
| date; time | date; time-micros |
| decimal | bytes, decimal |
| list; struct; map with text keys | array; record; map |
| nullable | union of null and the type |
"""

from __future__ import annotations

import re
from typing import Any, TypeAlias

import pyarrow as pa

from transforms.arrow_types import is_bytes, is_list, is_text
from transforms.errors import PermanentError

__all__ = ["avro_schema", "is_int"]

Avro: TypeAlias = dict[str, Any] | list[Any] | str

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_is = pa.types


def avro_schema(schema: pa.Schema, name: str = "Row") -> dict[str, Any]:
    """Return the schema of a record with the columns as fields.

    Raises:
        PermanentError: Avro has no form for a type, or allows no such name.
    """
    return _record([schema.field(index) for index in range(len(schema))], name)


def is_int(kind: pa.DataType) -> bool:
    """Tell whether an integer type is Avro's ``int``, all of whose values have 32 bits."""
    return kind.bit_width < 32 or kind == pa.int32()  # noqa: PLR2004 (bits of Avro's int)


def _record(fields: list[pa.Field], name: str) -> dict[str, Any]:
    members = [{"name": field.name, "type": _of_field(field, name)} for field in fields]
    return {"type": "record", "name": name, "fields": members}


def _of_field(field: pa.Field, parent: str) -> Avro:
    if not _NAME.fullmatch(field.name):
        raise PermanentError(
            f"Avro allows no field named {field.name!r}, only letters, digits and underscores: "
            "rename the column, or write JSON lines or Parquet"
        )
    # The name of a nested record must be its own in the whole schema, so it tells the path.
    kind = _of_type(field.type, f"{parent}_{field.name}")
    return ["null", kind] if field.nullable and kind != "null" else kind


def _of_type(kind: pa.DataType, name: str) -> Avro:
    plain = _plain(kind)
    if plain is not None:
        return plain
    if _is.is_dictionary(kind):
        return _of_type(kind.value_type, name)
    if _is.is_struct(kind):
        return _record([kind.field(index) for index in range(kind.num_fields)], name)
    if _is.is_map(kind) and _is.is_string(kind.key_type):
        return {"type": "map", "values": _item(kind.item_field, name)}
    if is_list(kind):
        return {"type": "array", "items": _item(kind.value_field, name)}
    raise PermanentError(f"Avro files can't hold a column of type {kind}: cast it to another")


def _item(field: pa.Field, name: str) -> Avro:
    kind = _of_type(field.type, f"{name}_item")
    return ["null", kind] if field.nullable and kind != "null" else kind


_PLAIN: tuple[tuple[Any, Avro], ...] = (
    (_is.is_boolean, "boolean"),
    (_is.is_float64, "double"),
    (_is.is_floating, "float"),
    (is_text, "string"),
    (is_bytes, "bytes"),
    (_is.is_null, "null"),
    (_is.is_duration, "long"),
    (_is.is_date, {"type": "int", "logicalType": "date"}),
    (_is.is_time, {"type": "long", "logicalType": "time-micros"}),
)


def _plain(kind: pa.DataType) -> Avro | None:
    if _is.is_decimal(kind):
        return {"type": "bytes", "logicalType": "decimal",
                "precision": kind.precision, "scale": kind.scale}  # fmt: skip
    if _is.is_integer(kind):
        return "int" if is_int(kind) else "long"
    if _is.is_timestamp(kind):
        local = "" if kind.tz else "local-"
        return {"type": "long", "logicalType": f"{local}timestamp-micros"}
    return next((avro for test, avro in _PLAIN if test(kind)), None)
