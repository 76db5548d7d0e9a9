"""Rules between parameters, checked before anything starts."""

from __future__ import annotations

import datetime as dt
import os
import posixpath
from collections.abc import Iterable, Mapping, Sequence

import pyarrow as pa

from connectors.lake import Partition
from pipelines.columns import Columns
from transforms.aggregate import answer_schema
from transforms.condition import Condition
from transforms.errors import ConfigError
from transforms.field import Field, Source
from transforms.measures import Measure, fields_of
from transforms.message import MESSAGE, MESSAGE_SCHEMA

__all__ = [
    "require_answer",
    "require_apart",
    "require_columns",
    "require_order",
    "require_partitions",
    "require_testable",
    "require_time",
]


_ENVELOPE = pa.field(MESSAGE, pa.struct(list(MESSAGE_SCHEMA)))


def require_columns(flag: str, fields: Iterable[Field], columns: Columns) -> None:
    """Refuse fields that name a column which rows lack; without a schema there is none."""
    for field in fields:
        if field.source is Source.COLUMN:
            _require_column(flag, field.short, field.name, columns)


def require_time(flag: str, field: Field, columns: Columns) -> None:
    """Refuse an event time whose column is missing or holds no time."""
    if field.source is Source.COLUMN:
        found = _require_column(flag, field.short, field.name, columns)
        _require_time(flag, field.short, found, columns.flag)


def require_partitions(flag: str, levels: Iterable[Partition], columns: Columns) -> None:
    """Refuse levels of folders whose column is missing, or of whose column no time can be told."""
    for level in levels:
        found = _require_column(flag, level, level.column, columns)
        if level.granularity is not None:
            _require_time(flag, level, found, columns.flag)


def require_answer(
    flag: str, by: Sequence[Field], measures: Mapping[str, Measure], columns: Columns
) -> pa.Schema:
    """Refuse groups and measures of what rows don't have; return the schema of the answer."""
    require_columns("--by", by, columns)
    for measure in measures.values():
        require_columns(flag, fields_of(measure), columns)
    try:
        return answer_schema(by, measures, pa.schema([*(columns.schema or ()), _ENVELOPE]))
    except ConfigError as error:
        place = "--by" if error.name == "by" else flag
        raise ConfigError(place, error.value, f"{error.name}: {error.rule}", error.fix) from error


def require_testable(flag: str, condition: Condition, columns: Columns) -> None:
    """Refuse a condition that names no column, or compares one with what it never holds."""
    require_columns(flag, condition.fields, columns)
    try:
        condition.check(pa.schema([*(columns.schema or ()), _ENVELOPE]))
    except ConfigError as error:
        raise ConfigError(flag, str(condition), f"{error.value} {error.rule}", error.fix) from error


def require_apart(flag: str, folder: str, other_flag: str, other: str) -> None:
    """Refuse a folder that is, holds or lies in another one: a reader would mix their files."""
    one, two = f"{_absolute(folder)}/", f"{_absolute(other)}/"
    if one.startswith(two) or two.startswith(one):
        raise ConfigError(
            flag, folder, f"is, holds or lies in {other_flag}={other}", "Choose a folder beside it"
        )


def require_order(
    flag: str, since: dt.datetime | None, other_flag: str, until: dt.datetime | None
) -> None:
    """Refuse a span of time that is empty."""
    if since is not None and until is not None and since >= until:
        raise ConfigError(
            other_flag, until.isoformat(), f"is not after {flag}={since.isoformat()}",
            "Give a later time, or leave one of the two out",
        )  # fmt: skip


def _absolute(folder: str) -> str:
    bucket, colon, path = folder.rpartition("://")
    return bucket + colon + (posixpath.normpath(path) if colon else os.path.realpath(folder))


def _require_column(flag: str, value: object, name: str, columns: Columns) -> pa.Field:
    """Return the column."""
    if columns.schema is None:
        raise ConfigError(
            flag, str(value), "names a column, and without --schema messages have none",
            "Use attribute:NAME or message:NAME, or give --schema",
        )  # fmt: skip
    if name not in columns.schema.names:
        raise ConfigError(
            flag, str(value), f"names no column of {columns.flag}",
            f"Use one of {', '.join(columns.schema.names)}",
        )  # fmt: skip
    return columns.schema.field(name)


def _require_time(flag: str, value: object, found: pa.Field, declared: str) -> None:
    kind = found.type
    if not (pa.types.is_timestamp(kind) or pa.types.is_date(kind)):
        raise ConfigError(
            flag, str(value), f"names a column of type {kind}, which is no time",
            f"Declare it as TIMESTAMP, DATETIME or DATE in {declared}, or choose another",
        )  # fmt: skip
