"""Resource names: parsed once, so that no other file splits strings."""

from __future__ import annotations

import re
from typing import NamedTuple

from connectors.bigquery_local.errors import Code, Refusal

__all__ = ["DEFAULT", "StreamName", "TableName", "check_id", "stream_name", "table_name"]

DEFAULT = "_default"
"""Id of the stream that every table has."""

_TABLE = re.compile(r"projects/([^/]+)/datasets/([^/]+)/tables/([^/]+)")
_STREAM = re.compile(_TABLE.pattern + r"(?:/streams)?/([^/]+)")
_ID = re.compile(r"[A-Za-z0-9_]{1,1024}")
_TABLE_ID = re.compile(r"[\w\- ]{1,1024}")


class TableName(NamedTuple):
    """A table of a dataset of a project."""

    project: str
    dataset: str
    table: str

    def __str__(self) -> str:
        return f"projects/{self.project}/datasets/{self.dataset}/tables/{self.table}"

    @property
    def legacy(self) -> str:
        """``project:dataset.table``, the form in BigQuery's REST messages."""
        return f"{self.project}:{self.dataset}.{self.table}"


class StreamName(NamedTuple):
    """A write stream of a table."""

    table: TableName
    stream: str

    def __str__(self) -> str:
        return f"{self.table}/streams/{self.stream}"


def table_name(text: str) -> TableName:
    """Parse ``projects/P/datasets/D/tables/T``.

    Raises:
        Refusal: it is no such name.
    """
    if found := _TABLE.fullmatch(text):
        return TableName(*found.groups())
    raise Refusal(
        Code.INVALID_ARGUMENT,
        f"Invalid table name {text!r}: it must be projects/P/datasets/D/tables/T.",
    )


def stream_name(text: str) -> StreamName:
    """Parse ``projects/P/datasets/D/tables/T/streams/S``; ``.../T/_default`` is a known short form.

    Raises:
        Refusal: it is no such name.
    """
    if found := _STREAM.fullmatch(text):
        return StreamName(TableName(*found.groups()[:3]), found[4])
    raise Refusal(
        Code.INVALID_ARGUMENT,
        f"Invalid stream name {text!r}: it must be projects/P/datasets/D/tables/T/streams/S.",
    )


def check_id(kind: str, value: str) -> None:
    """Refuse an id that BigQuery refuses.

    Args:
        kind: ``dataset`` or ``table``.
        value: the id.
    """
    rule = _ID if kind == "dataset" else _TABLE_ID
    if not rule.fullmatch(value):
        raise Refusal(
            Code.INVALID_ARGUMENT,
            f'Invalid {kind} ID "{value}". {kind.title()} IDs must be alphanumeric (plus '
            "underscores) and must be at most 1024 characters long.",
        )
