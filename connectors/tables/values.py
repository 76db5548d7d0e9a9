"""Values of partitions, as the paths of files tell them. Pure functions."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote

import numpy as np
import pyarrow as pa

from connectors.tables.spec import Level

__all__ = ["NULL", "number", "texts", "unit_type"]

NULL = "__HIVE_DEFAULT_PARTITION__"
"""Stands for null in a path, as in Hive."""
_CODES: dict[str, Any] = {"year": "Y", "month": "M", "date": "D", "hour": "h", "": "D"}


def texts(path: str, root: str, levels: Sequence[Level]) -> list[str | None]:
    """Return the value of each level that a path below the root tells; None for null."""
    folders = posixpath.dirname(path.removeprefix(root).lstrip("/")).split("/")
    values = [unquote(folder.partition("=")[2]) for folder in folders[: len(levels)] if folder]
    return [None if value == NULL else value for value in values]


def unit_type(unit: str) -> pa.DataType:
    """Return the type of a column that holds such values as the paths do: 2013-01-31T09."""
    if unit == "date":
        return pa.date32()
    return pa.int32() if unit == "year" else pa.string()


def number(text: str | None, kind: pa.DataType, unit: str) -> object:
    """Return a value as Iceberg keeps it: times as units since 1970, others by their type."""
    if text is None:
        return None
    if unit or pa.types.is_date(kind):
        return int(np.datetime64(text, _CODES[unit]).astype(np.int64))
    if pa.types.is_boolean(kind):
        return text == "true"
    return int(text) if pa.types.is_integer(kind) else text
