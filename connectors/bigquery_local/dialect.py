"""BigQuery's SQL to DuckDB's, by sqlglot."""

from __future__ import annotations

from connectors.bigquery_local.errors import Code, MissingExtra, Refusal

__all__ = ["expression"]


def expression(sql: str) -> str:
    """Return an expression, such as a default value, in DuckDB's SQL.

    Raises:
        Refusal: it can't be read.
        MissingExtra: sqlglot is not installed.
    """
    try:
        import sqlglot  # noqa: PLC0415 - an extra, as DuckDB is
    except ImportError:
        raise MissingExtra(
            "The local BigQuery translates SQL with sqlglot, which is not installed: "
            'pip install "headrace[local]"'
        ) from None
    try:
        return str(sqlglot.parse_one(sql, read="bigquery").sql(dialect="duckdb"))
    except sqlglot.errors.SqlglotError as error:
        raise Refusal(Code.INVALID_ARGUMENT, f"Invalid expression {sql!r}: {error}") from None
