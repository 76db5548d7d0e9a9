"""Arrow schemas from the JSON form in which BigQuery writes them.

The form is what ``bq show --schema --format=json`` prints: a list of fields, each with ``name``,
``type``, ``mode``, ``description`` and, for a RECORD, ``fields``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from transforms.errors import ConfigError
from transforms.message import MESSAGE

__all__ = ["BIGQUERY_TYPE", "DESCRIPTION", "from_bigquery", "from_json", "holds_json"]

BIGQUERY_TYPE = b"bigquery_type"
"""Metadata key of fields whose Arrow type alone doesn't tell the type of the warehouse."""
DESCRIPTION = b"description"
"""Metadata key of a field's description."""

NAME_CHARACTERS_MAX = 300
NESTING_MAX = 15
FORBIDDEN_IN_NAMES = frozenset('!"$()*,./;?@[\\]^`{}~')
"""Limits of names and of nesting: https://cloud.google.com/bigquery/docs/schemas."""

TYPES: dict[str, pa.DataType] = {
    "STRING": pa.string(),
    "BYTES": pa.binary(),
    "INTEGER": pa.int64(),
    "INT64": pa.int64(),
    "FLOAT": pa.float64(),
    "FLOAT64": pa.float64(),
    "NUMERIC": pa.decimal128(38, 9),
    "BIGNUMERIC": pa.decimal256(76, 38),
    "BOOLEAN": pa.bool_(),
    "BOOL": pa.bool_(),
    "TIMESTAMP": pa.timestamp("us", tz="UTC"),
    "DATETIME": pa.timestamp("us"),
    "DATE": pa.date32(),
    "TIME": pa.time64("us"),
    "JSON": pa.string(),
    "GEOGRAPHY": pa.string(),
}
RECORDS = ("RECORD", "STRUCT")
MODES = ("NULLABLE", "REQUIRED", "REPEATED")
SHOWN_CHARACTERS_MAX = 80


def from_json(text: str) -> pa.Schema:
    """Read a schema from JSON text: a list of fields, or an object with such a list as ``fields``.

    Raises:
        ConfigError: the text is no JSON, or no schema in BigQuery's form.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(
            "schema", _shown(text), f"must be JSON: {error}",
            'Write a list of fields such as [{"name": "id", "type": "STRING"}]',
        ) from error  # fmt: skip
    return from_bigquery(document["fields"] if _is_wrapped(document) else document)


def from_bigquery(fields: Sequence[dict[str, Any]]) -> pa.Schema:
    """Return the Arrow schema of fields in BigQuery's form.

    REQUIRED and REPEATED fields are not nullable: a REPEATED field that is absent is an empty
    list. JSON and GEOGRAPHY become strings that know it by their metadata. BigQuery's BIGNUMERIC
    has a 77th digit, partly; a decimal of Arrow has 76.

    Raises:
        ConfigError: naming the place, such as ``schema[2].fields[0].type``, the rule and the fix.
    """
    return pa.schema(_fields(fields, "schema", depth=0))


def holds_json(field: pa.Field) -> bool:
    """Tell whether the strings of a field are JSON texts."""
    marked = (field.metadata or {}).get(BIGQUERY_TYPE) == b"JSON"
    return marked and pa.types.is_string(field.type)


def _is_wrapped(document: Any) -> bool:
    return isinstance(document, dict) and "fields" in document


def _fields(fields: Any, place: str, depth: int) -> list[pa.Field]:
    if not isinstance(fields, (list, tuple)) or not fields:
        raise ConfigError(
            place, _shown(fields), "must be a list of at least one field",
            'Write for example [{"name": "id", "type": "STRING", "mode": "REQUIRED"}]',
        )  # fmt: skip
    if depth > NESTING_MAX:
        raise ConfigError(
            place, depth, f"records may nest at most {NESTING_MAX} levels deep",
            "Flatten the schema, or keep the inner part as a JSON column",
        )  # fmt: skip
    made = [_field(field, f"{place}[{index}]", depth) for index, field in enumerate(fields)]
    _refuse_duplicates([field.name for field in made], place)
    return made


def _field(field: Any, place: str, depth: int) -> pa.Field:
    if not isinstance(field, dict):
        raise ConfigError(
            place, _shown(field), "must be an object with name and type",
            'Write for example {"name": "id", "type": "STRING"}',
        )  # fmt: skip
    name = _name(field.get("name"), f"{place}.name")
    kind = _choice(field, "type", place, (*TYPES, *RECORDS))
    mode = _choice(field, "mode", place, MODES, default="NULLABLE")
    metadata = _metadata(field, kind, place)
    value_type = _type(field, kind, place, depth)
    if mode == "REPEATED":
        # The item carries the metadata too: whoever builds the values sees only the item.
        value_type = pa.list_(pa.field("item", value_type, nullable=False, metadata=metadata))
    return pa.field(name, value_type, nullable=mode == "NULLABLE", metadata=metadata)


def _type(field: dict[str, Any], kind: str, place: str, depth: int) -> pa.DataType:
    if kind in RECORDS:
        return pa.struct(_fields(field.get("fields"), f"{place}.fields", depth + 1))
    if field.get("fields"):
        raise ConfigError(
            f"{place}.fields", _shown(field["fields"]), f"a {kind} has no fields of its own",
            "Make the type RECORD, or remove the fields",
        )  # fmt: skip
    return TYPES[kind]


def _name(name: Any, place: str) -> str:
    if (
        not isinstance(name, str)
        or not 0 < len(name) <= NAME_CHARACTERS_MAX
        or not FORBIDDEN_IN_NAMES.isdisjoint(name)
    ):
        raise ConfigError(
            place, _shown(name),
            f"must be 1 to {NAME_CHARACTERS_MAX} characters, none of them of "
            + "".join(sorted(FORBIDDEN_IN_NAMES)),
            "Give the field a name of letters, digits and underscores",
        )  # fmt: skip
    if name == MESSAGE:
        raise ConfigError(
            place, name, "is reserved for the message that a row came from",
            "Rename the field",
        )  # fmt: skip
    return name


def _choice(
    field: dict[str, Any], key: str, place: str, allowed: Sequence[str], default: str | None = None
) -> str:
    value = field.get(key, default)
    known = value.upper() if isinstance(value, str) else value
    if known not in allowed:
        raise ConfigError(
            f"{place}.{key}", _shown(value), "is not known", f"Use one of {', '.join(allowed)}"
        )
    return str(known)


def _metadata(field: dict[str, Any], kind: str, place: str) -> dict[bytes, bytes] | None:
    description = field.get("description") or ""
    if not isinstance(description, str):
        raise ConfigError(
            f"{place}.description", _shown(description), "must be text", "Quote it or remove it"
        )
    metadata = {DESCRIPTION: description.encode()} if description else {}
    if kind in ("JSON", "GEOGRAPHY"):
        metadata[BIGQUERY_TYPE] = kind.encode()
    return metadata or None


def _refuse_duplicates(names: Sequence[str], place: str) -> None:
    seen: dict[str, int] = {}
    for index, name in enumerate(names):
        first = seen.setdefault(name.casefold(), index)
        if first != index:
            raise ConfigError(
                f"{place}[{index}].name", name,
                f"is taken by field {first}; BigQuery doesn't tell upper from lower case",
                "Rename one of the two",
            )  # fmt: skip


def _shown(value: Any) -> Any:
    text = repr(value)
    return value if len(text) <= SHOWN_CHARACTERS_MAX else text[:SHOWN_CHARACTERS_MAX] + "..."
