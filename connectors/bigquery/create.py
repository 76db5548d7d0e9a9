"""Tables that are made on request: with which columns, partitions and end. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from connectors.bigquery.terms import Terms
from transforms.errors import ConfigError

__all__ = ["Create", "require_layout"]

_GRANULARITIES = ("hour", "day", "month", "year")
_PARTITION = re.compile(r"(?P<granularity>[a-z]+)\((?P<column>\w*)\)")
CLUSTERING_MAX = 4
"""https://cloud.google.com/bigquery/docs/clustered-tables#limitations."""
KEY_MAX = 16
"""https://cloud.google.com/bigquery/docs/primary-foreign-keys."""

_OF_DAYS = ("DATE", "DATETIME", "TIMESTAMP")
_OF_HOURS = ("DATETIME", "TIMESTAMP")
"""https://cloud.google.com/bigquery/docs/partitioned-tables#date_timestamp_partitioned_tables."""
_NOT_CLUSTERED = ("BYTES", "FLOAT", "INTERVAL", "JSON", "RECORD", "TIME")
"""https://cloud.google.com/bigquery/docs/clustered-tables#cluster_column_types has the others."""
_NO_KEY = ("FLOAT", "INTERVAL", "JSON", "RECORD")


@dataclass(frozen=True)
class Create:
    """Make a table that does not exist, with the columns of the first rows that go to it.

    Guarantees: several workers may do it at the same time; a table that is there stays as it is.

    Args:
        partition_by: ``hour``, ``day``, ``month`` or ``year(COLUMN)`` of a time; with empty
            parentheses by the time of arrival. None for no partitions.
        partition_expiration_s: how long a partition is kept.
        cluster_by: up to four columns.
        expiration_s: how long the table is kept, from its creation on.
        primary_key: columns that tell rows apart: needed for ``Changes``, not enforced.
        schema: the columns, if those of the first rows are not to be followed.

    Raises:
        ConfigError: one of these is against BigQuery's rules.
    """

    partition_by: str | None = None
    partition_expiration_s: float | None = None
    cluster_by: tuple[str, ...] = ()
    expiration_s: float | None = None
    primary_key: tuple[str, ...] = ()
    schema: pa.Schema | None = None

    def __post_init__(self) -> None:
        if self.partition_by is not None:
            _partition(self.partition_by)
        elif self.partition_expiration_s is not None:
            raise ConfigError(
                "partition_expiration", self.partition_expiration_s,
                "needs a table with partitions", "Give partition_by= too",
            )  # fmt: skip
        for name, columns, most in (
            ("cluster_by", self.cluster_by, CLUSTERING_MAX),
            ("primary_key", self.primary_key, KEY_MAX),
        ):
            if len(columns) > most:
                raise ConfigError(
                    name, ",".join(columns), f"may have {most} columns", "Leave the others out"
                )

    @property
    def partition(self) -> tuple[str, str] | None:
        """The granularity and the column of the partitions, which is empty for arrival."""
        return None if self.partition_by is None else _partition(self.partition_by)


def require_layout(
    create: Create, columns: Iterable[Mapping[str, Any]], terms: Terms | None = None
) -> None:
    """Refuse partitions, clustering and a key of columns that can't have them, as BigQuery does.

    Args:
        create: what is asked for.
        columns: of the table, in the JSON form of the REST API.
        terms: what errors call the arguments.

    Raises:
        ConfigError: a column is missing, or is of a type or mode that can't be used so.
    """
    terms = terms or Terms()
    known = {column["name"].casefold(): column for column in columns}
    if create.partition is not None and create.partition[1]:
        granularity, name = create.partition
        kinds = _OF_HOURS if granularity == "hour" else _OF_DAYS
        column = _column(known, name, terms.partition_by, create.partition_by)
        _require(
            column, lambda kind: kind in kinds, (terms.partition_by, create.partition_by),
            f"{granularity}() takes {', '.join(kinds)}",
        )  # fmt: skip
    for argument, names, refused, use in (
        (terms.cluster_by, create.cluster_by, _NOT_CLUSTERED, "to cluster by"),
        (terms.primary_key, create.primary_key, _NO_KEY, "for a key"),
    ):
        given = ",".join(names)
        for name in names:
            column = _column(known, name, argument, given)
            _require(
                column, lambda kind, refused=refused: kind not in refused, (argument, given),  # type: ignore[misc]
                f"{use} BigQuery takes no {', '.join(refused)}",
            )  # fmt: skip


def _column(
    known: Mapping[str, Mapping[str, Any]], name: str, argument: str, value: object
) -> Mapping[str, Any]:
    column = known.get(name.casefold())
    if column is None:
        raise ConfigError(
            argument, value, f"names {name}, which is no column of the rows",
            f"Use one of {', '.join(each['name'] for each in known.values())}",
        )  # fmt: skip
    return column


def _require(
    column: Mapping[str, Any], fits: Callable[[str], bool], given: tuple[str, object], rule: str
) -> None:
    if column["mode"] == "REPEATED" or not fits(column["type"]):
        kind = "REPEATED" if column["mode"] == "REPEATED" else column["type"]
        raise ConfigError(
            *given, f"names {column['name']}, a column of type {kind}: {rule}, not repeated",
            "Choose another column, or change its type",
        )  # fmt: skip


def _partition(text: str) -> tuple[str, str]:
    match = _PARTITION.fullmatch(text)
    if match is None or match["granularity"] not in _GRANULARITIES:
        raise ConfigError(
            "partition_by", text, "must be hour, day, month or year of a column",
            "Write for example day(departure), or day() for the time of arrival",
        )  # fmt: skip
    return match["granularity"], match["column"]
