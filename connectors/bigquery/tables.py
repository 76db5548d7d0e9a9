"""Tables that are made on request: with which columns, partitions and end."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import pyarrow as pa
from google.api_core import exceptions

from connectors import retry
from connectors.bigquery.changes import CHANGE_SEQUENCE_NUMBER, CHANGE_TYPE
from connectors.bigquery.names import TableName
from connectors.bigquery.session import OUTAGE, Session
from connectors.bigquery.table_types import rest_fields
from connectors.clients import Endpoint, bigquery_endpoint, open_bigquery
from transforms.errors import ConfigError
from transforms.schema import from_bigquery

__all__ = ["Create", "configure", "schema_of"]

CALL_S = 60.0
_GRANULARITIES = ("hour", "day", "month", "year")
_PARTITION = re.compile(r"(?P<granularity>[a-z]+)\((?P<column>\w*)\)")
CLUSTERING_MAX = 4
"""https://cloud.google.com/bigquery/docs/clustered-tables#limitations."""


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
                "needs a table with partitions", "Give partition_by too",
            )  # fmt: skip
        if len(self.cluster_by) > CLUSTERING_MAX:
            raise ConfigError(
                "cluster_by", ",".join(self.cluster_by), f"may have {CLUSTERING_MAX} columns",
                "Leave the others out",
            )  # fmt: skip

    def columns(self) -> tuple[str, ...]:
        """Return every column that must be there."""
        column = _partition(self.partition_by)[1] if self.partition_by is not None else ""
        return (*((column,) if column else ()), *self.cluster_by, *self.primary_key)


def schema_of(
    session: Session, table: TableName, create: Create | None, rows: pa.Schema
) -> pa.Schema:
    """Return the schema of a table, which is made if it is missing and ``create`` is given.

    Args:
        session: with the server.
        table: that is written to.
        create: how it is made; None if it must be there.
        rows: schema of the rows that are to be written.

    Raises:
        ConfigError: the table, or its dataset, is missing, or can't be made of these columns.
    """
    try:
        return session.schema(table)
    except ConfigError as error:
        if create is None or not isinstance(error.__cause__, Exception):
            raise
        if retry.status(error.__cause__) is not retry.NOT_FOUND:
            raise
    _make(session, table, create, create.schema or _without_changes(rows))
    return session.schema(table)


def _make(session: Session, table: TableName, create: Create, rows: pa.Schema) -> None:
    endpoint = bigquery_endpoint()
    client = _client(endpoint, table.project)
    fields = rest_fields(rows)
    subject = retry.Subject(
        "dataset", f"{table.project}.{table.dataset}",
        f"Create it: bq mk {table.project}:{table.dataset}",
        endpoint.advice, "roles/bigquery.dataEditor", "BIGQUERY_EMULATOR_HOST",
    )  # fmt: skip
    definition = _definition(table, create, fields)

    def make() -> bool:
        try:
            client.create_table(definition, retry=None, timeout=CALL_S)
        except exceptions.Conflict:
            return False
        return True

    if retry.call(make, subject, OUTAGE):
        session.made(table, from_bigquery(fields))


@lru_cache(maxsize=8)
def _client(endpoint: Endpoint, project: str) -> Any:
    return open_bigquery(endpoint, project)


def _without_changes(rows: pa.Schema) -> pa.Schema:
    pseudo = (CHANGE_TYPE, CHANGE_SEQUENCE_NUMBER)
    return pa.schema([field for field in rows if field.name not in pseudo])


def _definition(table: TableName, create: Create, fields: list[dict[str, Any]]) -> Any:
    from google.cloud import bigquery  # noqa: PLC0415 - a second of imports

    columns = [bigquery.SchemaField.from_api_repr(field) for field in fields]
    made = bigquery.Table(str(table), schema=columns)
    configure(made, create)
    if create.expiration_s is not None:
        now = dt.datetime.now(dt.timezone.utc)
        made.expires = now + dt.timedelta(seconds=create.expiration_s)
    if create.primary_key:
        key = bigquery.table.PrimaryKey(list(create.primary_key))
        made.table_constraints = bigquery.table.TableConstraints(key, None)
    return made


def configure(made: Any, create: Create) -> None:
    """Set partitions and clustering of a table, or of the configuration of a load job."""
    from google.cloud import bigquery  # noqa: PLC0415 - as above

    if create.partition_by is not None:
        granularity, column = _partition(create.partition_by)
        made.time_partitioning = bigquery.TimePartitioning(
            type_=granularity.upper(),
            field=column or None,
            expiration_ms=_millis(create.partition_expiration_s),
        )
    if create.cluster_by:
        made.clustering_fields = list(create.cluster_by)


def _partition(text: str) -> tuple[str, str]:
    match = _PARTITION.fullmatch(text)
    if match is None or match["granularity"] not in _GRANULARITIES:
        raise ConfigError(
            "partition_by", text, "must be hour, day, month or year of a column",
            "Write for example day(departure), or day() for the time of arrival",
        )  # fmt: skip
    return match["granularity"], match["column"]


def _millis(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1_000)
