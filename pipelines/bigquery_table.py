"""What pipelines take that write to BigQuery: the table, how often each row, and its making."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa

from connectors import bigquery
from connectors.bigquery.destination import Destination
from pipelines import checks, kinds
from pipelines.changes import refused
from pipelines.columns import columns_of
from pipelines.kind import Kind
from pipelines.params import Group, param
from pipelines.rules import OnlyWith, Rule
from transforms.errors import ConfigError
from transforms.field import Field, message
from transforms.message import MESSAGE_SCHEMA

__all__ = ["BigQueryTable"]


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _parts(text: str) -> tuple[str, ...]:
    names = _names(text)
    for name in names:
        if name not in MESSAGE_SCHEMA.names:
            raise ConfigError(
                "part of a message", name, "is none",
                f"Use some of {', '.join(MESSAGE_SCHEMA.names)}",
            )  # fmt: skip
    return names


def _partition(text: str) -> str:
    bigquery.Create(partition_by=text)
    return text


_SEMANTICS = kinds.choice("semantics", *(each.value for each in bigquery.Semantics))
_MISSING = kinds.choice("if_missing", "refuse", "create")
_PARTS = Kind("PART[,PART]", _parts, separator=",")
_PARTITION = Kind("PARTITION", _partition, pattern="^(hour|day|month|year)[(].*[)]$")
_NAMES = Kind("NAME[,NAME]", _names, separator=",")

_FLAGS = bigquery.Terms(
    "--table", "--if_missing=create", "--partition_by", "--cluster_by", "--primary_key"
)
"""What errors of the connector call its arguments."""


@dataclass(frozen=True, kw_only=True)
class BigQueryTable(Group):
    """A table, or a template of tables."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        OnlyWith(
            (
                "partition_by", "partition_expiration", "cluster_by", "primary_key",
                "table_expiration",
            ),
            "if_missing", "counts only for tables that are made", ("create",),
        ),
        OnlyWith(("change_sequence",), "change_type", "is of changes, and rows are none"),
    )  # fmt: skip

    table: Destination = param(
        kinds.TABLE,
        "Table to write to, or a template of one: {COLUMN} and {attribute:NAME} stand for values "
        "of the row.",
        example="my-project.flights.departures or my-project.events.{attribute:kind}",
        group="BigQuery",
    )
    semantics: str = param(
        _SEMANTICS,
        "How often a row is in the table after failures. exactly_once needs a runner with durable "
        "state, and rows appear about two seconds later.",
        default="at_least_once",
        group="BigQuery",
    )
    message_columns: tuple[str, ...] = param(
        _PARTS,
        "Parts of the message to keep in columns of their names: " + ", ".join(MESSAGE_SCHEMA.names)
        + ".",
        example="message_id,publish_time,attributes",
        default="",
        group="BigQuery",
    )  # fmt: skip
    change_type: Field | None = param(
        kinds.FIELD,
        "Where UPSERT or DELETE stands: rows are then changes by the table's primary key.",
        example="attribute:operation",
        required=False,
        group="BigQuery",
    )
    change_sequence: Field | None = param(
        kinds.FIELD,
        "Which of two changes is later: an integer, or hexadecimal text.",
        example="version",
        required=False,
        group="BigQuery",
    )
    shards: int = param(
        kinds.COUNT,
        "Parallel parts of de-duplication, and with exactly_once streams of each table.",
        default="1",
        group="BigQuery",
        change=refused("what de-duplication remembers is parted by it"),
    )
    if_missing: str = param(
        _MISSING,
        "What to do about a table that does not exist.",
        default="refuse",
        group="BigQuery, tables that are made",
    )
    partition_by: str | None = param(
        _PARTITION,
        "Partitions: hour, day, month or year(COLUMN), or of the time of arrival, as day().",
        example="day(departure)",
        required=False,
        group="BigQuery, tables that are made",
    )
    partition_expiration: float | None = param(
        kinds.DURATION,
        "How long a partition is kept.",
        example="90d",
        required=False,
        group="BigQuery, tables that are made",
    )
    cluster_by: tuple[str, ...] = param(
        _NAMES,
        "Up to four columns to cluster by.",
        example="carrier,origin",
        default="",
        group="BigQuery, tables that are made",
    )
    primary_key: tuple[str, ...] = param(
        _NAMES,
        "Columns that tell rows apart; needed for --change_type.",
        example="flight_id",
        default="",
        group="BigQuery, tables that are made",
    )
    table_expiration: float | None = param(
        kinds.DURATION,
        "How long a table is kept, from its making on.",
        example="365d",
        required=False,
        group="BigQuery, tables that are made",
    )

    def check(self) -> None:
        """Refuse fields that name no column, and what can't go together."""
        columns = columns_of(self)
        checks.require_columns("--table", self.table.fields, columns)
        for name in ("change_type", "change_sequence"):
            checks.require_columns(f"--{name}", filter(None, [getattr(self, name)]), columns)
        if columns.schema is not None:
            self._require_no_clash(columns.schema, columns.flag)
        self.write()

    def write(self) -> bigquery.Write:
        """Return the step that writes."""
        changes = None
        if self.change_type is not None:
            changes = bigquery.Changes(self.change_type, self.change_sequence)
        return bigquery.Write(
            self.table.text,
            semantics=bigquery.Semantics(self.semantics),
            create=self.create(),
            add={name: message(name) for name in self.message_columns},
            changes=changes,
            shards=self.shards,
            rows=columns_of(self).schema,
            terms=_FLAGS,
        )

    def create(self) -> bigquery.Create | None:
        """Return how a missing table is made, None if it is to be refused."""
        if self.if_missing == "refuse":
            return None
        return bigquery.Create(
            partition_by=self.partition_by,
            partition_expiration_s=self.partition_expiration,
            cluster_by=self.cluster_by,
            expiration_s=self.table_expiration,
            primary_key=self.primary_key,
        )

    def _require_no_clash(self, schema: pa.Schema, flag: str) -> None:
        for name in self.message_columns:
            if re.fullmatch("|".join(map(re.escape, schema.names)), name, re.IGNORECASE):
                raise ConfigError(
                    "--message_columns", name, f"is a column of {flag} already",
                    "Leave it out, or rename the column",
                )  # fmt: skip
