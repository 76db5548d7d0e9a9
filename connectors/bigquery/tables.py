"""Tables at the server: their columns, and how they are made on request."""

from __future__ import annotations

import datetime as dt
from functools import lru_cache
from typing import Any

import pyarrow as pa
from google.api_core import exceptions

from connectors import retry
from connectors.bigquery.changes import CHANGE_SEQUENCE_NUMBER, CHANGE_TYPE
from connectors.bigquery.create import Create, require_layout
from connectors.bigquery.session import AT_START, OUTAGE, Session
from connectors.bigquery.table_types import rest_fields
from connectors.bigquery.terms import Terms
from connectors.clients import Endpoint, bigquery_endpoint, open_bigquery
from connectors.table_name import TableName
from transforms.errors import ConfigError
from transforms.schema import from_bigquery

__all__ = [
    "configure",
    "known_schema",
    "new_columns",
    "require_dataset",
    "schema_of",
    "table_columns",
]

CALL_S = 60.0


def schema_of(
    session: Session,
    table: TableName,
    create: Create | None,
    rows: pa.Schema,
    terms: Terms | None = None,
) -> pa.Schema:
    """Return the schema of a table, which is made if it is missing and ``create`` is given.

    Args:
        session: with the server.
        table: that is written to.
        create: how it is made; None if it must be there.
        rows: schema of the rows that are to be written.
        terms: what errors call the arguments.

    Raises:
        ConfigError: the table, or its dataset, is missing, or can't be made of these columns.
    """
    terms = terms or Terms()
    known = known_schema(session, table, create, terms)
    if known is not None:
        return known
    if create is not None:  # as else it had to be there
        _make(session, table, create, new_columns(create, rows, terms))
    return session.schema(table)


def known_schema(
    session: Session,
    table: TableName,
    create: Create | None,
    terms: Terms,
    outage: retry.Backoff = OUTAGE,
) -> pa.Schema | None:
    """Return the schema of a table, None if it is missing and is to be made.

    Raises:
        ConfigError: it is missing, and must be there.
    """
    try:
        return session.schema(table, outage)
    except ConfigError as error:
        if retry.status(error.__cause__) is not retry.NOT_FOUND:
            raise
        if create is None:
            raise ConfigError(
                terms.table, str(table), error.rule,
                f"Create it first, or let it be made: {terms.create}",
            ) from error.__cause__  # fmt: skip
    return None


def new_columns(create: Create, rows: pa.Schema, terms: Terms) -> list[dict[str, Any]]:
    """Return the columns of a table that is to be made, in the JSON form of the REST API.

    Raises:
        ConfigError: BigQuery has no such columns, or they can't be partitioned by and so on.
    """
    fields = rest_fields(create.schema or _without_changes(rows))
    require_layout(create, fields, terms)
    return fields


def require_dataset(table: TableName) -> None:
    """Look the dataset of a table up, before anything is started.

    Raises:
        ConfigError: there is none of this name, or access is denied.
        TransientError: nobody answers.
    """
    endpoint = bigquery_endpoint()
    name = f"{table.project}.{table.dataset}"

    def look() -> None:
        _client(endpoint, table.project).get_dataset(name, retry=None, timeout=CALL_S)

    retry.call(look, _subject(endpoint, table), AT_START)


def table_columns(table: TableName) -> list[str]:
    """Return the names of a table's columns, to those who may only read it.

    Raises:
        ConfigError: there is none of this name, or access is denied.
        TransientError: nobody answers.
    """
    endpoint = bigquery_endpoint()
    subject = retry.Subject(
        "table", str(table), "Give the name of one that is there", endpoint.advice,
        "roles/bigquery.dataViewer", "BIGQUERY_EMULATOR_HOST",
    )  # fmt: skip

    def look() -> Any:
        return _client(endpoint, table.project).get_table(str(table), retry=None, timeout=CALL_S)

    found = retry.call(look, subject, AT_START)
    return [column.name for column in found.schema]


def _subject(endpoint: Endpoint, table: TableName) -> retry.Subject:
    return retry.Subject(
        "dataset", f"{table.project}.{table.dataset}",
        f"Create it: bq mk {table.project}:{table.dataset}",
        endpoint.advice, "roles/bigquery.dataEditor", "BIGQUERY_EMULATOR_HOST",
    )  # fmt: skip


def _make(session: Session, table: TableName, create: Create, fields: list[dict[str, Any]]) -> None:
    endpoint = bigquery_endpoint()
    definition = _definition(table, create, fields)

    def make() -> bool:
        try:
            _client(endpoint, table.project).create_table(definition, retry=None, timeout=CALL_S)
        except exceptions.Conflict:
            return False
        return True

    if retry.call(make, _subject(endpoint, table), OUTAGE):
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

    if create.partition is not None:
        granularity, column = create.partition
        made.time_partitioning = bigquery.TimePartitioning(
            type_=granularity.upper(),
            field=column or None,
            expiration_ms=_millis(create.partition_expiration_s),
        )
    if create.cluster_by:
        made.clustering_fields = list(create.cluster_by)


def _millis(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1_000)
