"""Table schemas of the REST API to fields and back, with the rules of a valid schema."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from connectors.bigquery_local.errors import Code, Refusal
from connectors.bigquery_local.schema import Field, Schema

__all__ = ["field_kind", "fields_from_json", "fields_to_json"]

_KINDS = {
    "INTEGER": "INT64",
    "FLOAT": "FLOAT64",
    "BOOLEAN": "BOOL",
    "RECORD": "STRUCT",
    "DECIMAL": "NUMERIC",
    "BIGDECIMAL": "BIGNUMERIC",
}
_LEGACY = {"INT64": "INTEGER", "FLOAT64": "FLOAT", "BOOL": "BOOLEAN", "STRUCT": "RECORD"}
_KNOWN = {
    "STRING", "BYTES", "INT64", "FLOAT64", "BOOL", "NUMERIC", "BIGNUMERIC", "TIMESTAMP",
    "DATETIME", "DATE", "TIME", "JSON", "GEOGRAPHY", "STRUCT", "RANGE",
}  # fmt: skip
_RANGES = {"DATE", "DATETIME", "TIMESTAMP"}
_MODES = {"NULLABLE", "REQUIRED", "REPEATED"}
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,299}")
_RESERVED = ("_TABLE_", "_FILE_", "_PARTITION", "_ROW_TIMESTAMP", "__ROOT__", "_COLIDENTIFIER")


def fields_from_json(items: Sequence[Mapping[str, Any]], path: str = "") -> Schema:
    """Parse the ``fields`` of a table schema.

    Args:
        items: as in the REST API.
        path: of the struct that they belong to, for messages.

    Raises:
        Refusal: a field breaks a rule of BigQuery.
    """
    fields = tuple(_field(item, path) for item in items)
    seen: set[str] = set()
    for field in fields:
        if field.name.lower() in seen:
            raise _invalid(f"Duplicate field names: {path}{field.name}. Case is ignored.")
        seen.add(field.name.lower())
    return fields


def _field(item: Mapping[str, Any], path: str) -> Field:
    name = str(item.get("name", ""))
    _check_name(name, path)
    kind = field_kind(str(item.get("type", "")))
    mode = str(item.get("mode") or "NULLABLE").upper()
    if kind not in _KNOWN:
        raise _invalid(
            f"Field {path}{name} has the type {item.get('type')!r}: unknown or not done."
        )
    if mode not in _MODES:
        raise _invalid(f"Field {path}{name} has the mode {mode!r}: none of {sorted(_MODES)}.")
    children = fields_from_json(item.get("fields") or (), f"{path}{name}.")
    if bool(children) != (kind == "STRUCT"):
        raise _invalid(f"Field {path}{name}: RECORD needs fields, and only RECORD has fields.")
    field = Field(
        name=name,
        kind=kind,
        mode=mode,
        fields=children,
        max_length=_number(item, "maxLength"),
        precision=_number(item, "precision"),
        scale=_number(item, "scale"),
        range_of=str((item.get("rangeElementType") or {}).get("type", "")).upper(),
        default=str(item.get("defaultValueExpression") or ""),
        description=str(item.get("description") or ""),
    )
    _check_parameters(field, path)
    return field


def field_kind(name: str) -> str:
    """Return the standard name of a type that may be given by its legacy name."""
    return _KINDS.get(name.upper(), name.upper())


def _check_name(name: str, path: str) -> None:
    if not _NAME.fullmatch(name):
        raise _invalid(
            f'Invalid field name "{path}{name}". Fields must contain only letters, numbers, and '
            "underscores, start with a letter or underscore, and be at most 300 characters long."
        )
    if name.upper().startswith(_RESERVED):
        raise _invalid(f'Invalid field name "{path}{name}": the prefix is reserved.')


def _check_parameters(field: Field, path: str) -> None:
    if field.kind == "RANGE" and field.range_of not in _RANGES:
        raise _invalid(f"Field {path}{field.name}: RANGE needs an element type, {sorted(_RANGES)}.")
    if field.max_length is not None and field.kind not in ("STRING", "BYTES"):
        raise _invalid(f"Field {path}{field.name}: maxLength belongs to STRING and BYTES.")
    if field.precision is not None and field.kind not in ("NUMERIC", "BIGNUMERIC"):
        raise _invalid(f"Field {path}{field.name}: precision belongs to NUMERIC and BIGNUMERIC.")
    if field.scale is not None and field.precision is None:
        raise _invalid(f"Field {path}{field.name}: scale needs a precision.")


def _number(item: Mapping[str, Any], key: str) -> int | None:
    return int(item[key]) if item.get(key) not in (None, "") else None


def fields_to_json(schema: Schema) -> list[dict[str, Any]]:
    """Return the ``fields`` of a table schema, as the REST API shows them."""
    return [_item(field) for field in schema]


def _item(field: Field) -> dict[str, Any]:
    item: dict[str, Any] = {
        "name": field.name,
        "type": _LEGACY.get(field.kind, field.kind),
        "mode": field.mode,
    }
    numbers = {
        "maxLength": field.max_length,
        "precision": field.precision,
        "scale": field.scale,
    }
    item |= {key: str(value) for key, value in numbers.items() if value is not None}
    if field.fields:
        item["fields"] = fields_to_json(field.fields)
    if field.range_of:
        item["rangeElementType"] = {"type": field.range_of}
    if field.default:
        item["defaultValueExpression"] = field.default
    if field.description:
        item["description"] = field.description
    return item


def _invalid(text: str) -> Refusal:
    return Refusal(Code.INVALID_ARGUMENT, text)
