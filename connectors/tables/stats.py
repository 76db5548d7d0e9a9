"""Statistics of a file as Delta Lake has them, from the footer of Parquet. Pure functions.

What is not exact is left out, for a reader that trusts it would skip rows: the upper end of floats
(NaN counts as larger than all, and footers don't tell it), long texts, decimals.
https://github.com/delta-io/delta/blob/master/PROTOCOL.md#per-file-statistics
"""

from __future__ import annotations

import datetime as dt
import json
import math
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

__all__ = ["statistics"]

_COLUMNS_MAX = 32
_TEXT_MAX = 32


def statistics(footer: pq.FileMetaData) -> str:
    """Return the JSON of number of rows, least and largest values, and nulls by column."""
    least: dict[str, Any] = {}
    largest: dict[str, Any] = {}
    nulls: dict[str, int] = {}
    types = {field.name: field.type for field in footer.schema.to_arrow_schema()}
    for number in range(footer.num_columns):
        name = footer.schema.column(number).path
        if name not in list(types)[:_COLUMNS_MAX]:
            continue
        found = [footer.row_group(group).column(number) for group in range(footer.num_row_groups)]
        counts = [_nulls(column.statistics) for column in found]
        if None not in counts:
            nulls[name] = sum(count for count in counts if count is not None)
        _add_ends(name, types[name], found, least, largest)
    told = {"numRecords": footer.num_rows, "minValues": least, "maxValues": largest}
    return json.dumps(told | {"nullCount": nulls}, allow_nan=False)


def _nulls(found: Any) -> int | None:
    return found.null_count if found is not None and found.has_null_count else None


def _add_ends(
    name: str, kind: pa.DataType, columns: list[Any], least: dict[str, Any], largest: dict[str, Any]
) -> None:
    known = [
        column.statistics for column in columns if _nulls(column.statistics) != column.num_values
    ]
    if not known or not all(found is not None and found.has_min_max for found in known):
        return
    low = _value(min(found.min for found in known), kind)
    if pa.types.is_floating(kind):
        if low is not None:
            least[name] = low
        return
    high = _value(max(found.max for found in known), kind)
    if low is not None and high is not None:
        least[name], largest[name] = low, high


def _value(value: Any, kind: pa.DataType) -> Any:
    """Return a value as JSON has it; None for what is not told."""
    if pa.types.is_integer(kind):
        return value
    if pa.types.is_floating(kind):
        return value if math.isfinite(value) else None  # JSON has no other numbers
    if pa.types.is_string(kind) and len(value) <= _TEXT_MAX:
        return value
    if isinstance(value, dt.datetime):
        text = value.replace(tzinfo=None).isoformat(timespec="microseconds")
        return f"{text}Z" if getattr(kind, "tz", None) else text
    return value.isoformat() if isinstance(value, dt.date) else None
