"""Which types of a writer fit which type of a column.

The tables are those of https://cloud.google.com/bigquery/docs/supported-data-types, read strictly:
what the page does not name is refused, although the service may take it. So are Arrow's
dictionaries, nanoseconds and run-length encodings.
"""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
import pyarrow.types as is_

from connectors.bigquery_local.errors import Code, Refusal, StorageCode
from connectors.bigquery_local.schema import Field, by_name, element

__all__ = ["ARROW", "PARQUET", "PROTO", "check", "extra_fields", "missing_required"]

ARROW, PARQUET, PROTO = "arrow", "parquet", "proto"
"""The formats of rows."""

Test = Callable[[pa.DataType], bool]


def _text(kind: pa.DataType) -> bool:
    return bool(is_.is_string(kind) or is_.is_large_string(kind) or is_.is_string_view(kind))


def _arrow_bytes(kind: pa.DataType) -> bool:
    return bool(is_.is_binary(kind) or is_.is_large_binary(kind) or is_.is_fixed_size_binary(kind))


def _integer(kind: pa.DataType) -> bool:
    return bool(is_.is_integer(kind)) and kind != pa.uint64()


def _instant(kind: pa.DataType) -> bool:
    return bool(is_.is_timestamp(kind)) and kind.tz is not None and kind.unit != "ns"


def _civil(kind: pa.DataType) -> bool:
    return bool(is_.is_timestamp(kind)) and kind.tz is None and kind.unit != "ns"


def _proto_number(kind: pa.DataType) -> bool:
    return bool(is_.is_integer(kind) or is_.is_floating(kind) or _text(kind) or is_.is_binary(kind))


_ARROW: dict[str, Test] = {
    "STRING": _text,
    "BYTES": _arrow_bytes,
    "INT64": _integer,
    "FLOAT64": is_.is_floating,
    "BOOL": is_.is_boolean,
    "NUMERIC": is_.is_decimal,
    "BIGNUMERIC": is_.is_decimal,
    "TIMESTAMP": _instant,
    "DATETIME": _civil,
    "DATE": is_.is_date32,
    "TIME": lambda kind: kind == pa.time64("us"),
    "JSON": _text,
    "GEOGRAPHY": _text,
}
_PROTO: dict[str, Test] = {
    "STRING": _text,
    "BYTES": lambda kind: _text(kind) or is_.is_binary(kind),
    "INT64": _integer,
    "FLOAT64": is_.is_floating,
    "BOOL": lambda kind: is_.is_boolean(kind) or is_.is_integer(kind),
    "NUMERIC": _proto_number,
    "BIGNUMERIC": _proto_number,
    "TIMESTAMP": lambda kind: _integer(kind) or is_.is_timestamp(kind),
    "DATETIME": lambda kind: _text(kind) or kind == pa.int64(),
    "DATE": lambda kind: _text(kind) or kind in (pa.int32(), pa.int64()),
    "TIME": lambda kind: _text(kind) or kind == pa.int64(),
    "JSON": _text,
    "GEOGRAPHY": _text,
}
_SCALARS = {ARROW: _ARROW, PARQUET: _ARROW, PROTO: _PROTO}


def check(field: Field, kind: pa.DataType, rows: str, path: str, entity: str) -> None:
    """Refuse a column of the writer whose type does not fit the table's.

    Args:
        field: of the table.
        kind: the writer's type.
        rows: ``ARROW`` or ``PROTO``.
        path: of the field, for messages.
        entity: the stream.

    Raises:
        Refusal: it does not fit; INVALID_ARGUMENT for the whole request.
    """
    repeated = bool(is_.is_list(kind) or is_.is_large_list(kind))
    if repeated != (field.mode == "REPEATED"):
        raise _mismatch(field, kind, rows, path, entity)
    if repeated:
        check(element(field), kind.value_type, rows, path, entity)
    elif field.kind == "STRUCT":
        _check_struct(field, kind, rows, path, entity)
    elif field.kind == "RANGE":
        _check_range(field, kind, rows, path, entity)
    elif not _SCALARS[rows][field.kind](kind):
        raise _mismatch(field, kind, rows, path, entity)


def _check_struct(field: Field, kind: pa.DataType, rows: str, path: str, entity: str) -> None:
    if not is_.is_struct(kind):
        raise _mismatch(field, kind, rows, path, entity)
    children = by_name(field.fields)
    given = {child.name.lower(): child for child in kind}
    extra = [child.name for key, child in given.items() if key not in children]
    if extra:
        raise extra_fields([f"{path}.{name}" for name in extra], entity)
    for key, child in children.items():
        if key in given:
            check(child, given[key].type, rows, f"{path}.{child.name}", entity)
        elif child.mode == "REQUIRED":
            raise missing_required([f"{path}.{child.name}"], entity)


def _check_range(field: Field, kind: pa.DataType, rows: str, path: str, entity: str) -> None:
    names = {child.name for child in kind} if is_.is_struct(kind) else set()
    if not names or names - {"start", "end"}:
        raise _mismatch(field, kind, rows, path, entity)
    bound = Field("bound", field.range_of)
    for child in kind:
        check(bound, child.type, rows, f"{path}.{child.name}", entity)


def extra_fields(names: list[str], entity: str) -> Refusal:
    """Return the refusal of columns that the table does not have."""
    listed = ", ".join(f"'{name}'" for name in names)
    return Refusal(
        Code.INVALID_ARGUMENT,
        f"Input schema has more fields than BigQuery schema, extra fields: {listed}",
        storage=StorageCode.SCHEMA_MISMATCH_EXTRA_FIELDS,
        entity=entity,
    )


def missing_required(names: list[str], entity: str) -> Refusal:
    """Return the refusal of a writer's schema without columns that the table requires."""
    listed = ", ".join(f"'{name}'" for name in names)
    return Refusal(
        Code.INVALID_ARGUMENT,
        f"Input schema lacks fields that are REQUIRED in the BigQuery schema: {listed}",
        entity=entity,
    )


def _mismatch(field: Field, kind: pa.DataType, rows: str, path: str, entity: str) -> Refusal:
    wanted = f"{field.mode} {field.kind}" if field.mode == "REPEATED" else field.kind
    return Refusal(
        Code.INVALID_ARGUMENT,
        f"The {rows} field mismatched with BigQuery field at {path}, "
        f"the {rows} field type {kind}, BigQuery field type {wanted}",
        entity=entity,
    )
