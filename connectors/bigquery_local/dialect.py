"""BigQuery's SQL to DuckDB's, by sqlglot: only SELECT, and only tables that exist."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from connectors.bigquery_local.errors import Code, MissingExtra, Refusal
from connectors.bigquery_local.names import TableName

__all__ = ["Translated", "condition", "expression", "require", "select"]


class Translated(NamedTuple):
    """A statement for DuckDB.

    Args:
        sql: of DuckDB.
        plain: the only table, where the result's columns are columns of it as they are; else None.
    """

    sql: str
    plain: TableName | None


def require() -> None:
    """Find out at the start whether SQL can be translated.

    Raises:
        MissingExtra: sqlglot is not installed.
    """
    _sqlglot()


def expression(sql: str) -> str:
    """Return an expression, such as a default value, in DuckDB's SQL.

    Raises:
        Refusal: it can't be read.
        MissingExtra: sqlglot is not installed.
    """
    return str(_parse(sql)[0].sql(dialect="duckdb"))


def condition(sql: str) -> str:
    """Return the condition of a WHERE clause in DuckDB's SQL.

    Raises:
        Refusal: it can't be read, or holds a query of its own.
    """
    exp = _sqlglot().exp
    tree = _parse(f"SELECT 1 FROM t WHERE {sql}")[0]  # noqa: S608 - parsed, not run
    if tree.find(exp.Subquery, exp.Union) or set(tree.args) - {"expressions", "from_", "where"} - {
        key for key, value in tree.args.items() if not value
    }:
        raise _invalid(f"{sql!r} is no plain condition.")
    return str(tree.args["where"].this.sql(dialect="duckdb"))


def select(
    sql: str, project: str, dataset: str, relation: Callable[[TableName], tuple[str, str]]
) -> Translated:
    """Return a query in DuckDB's SQL.

    Args:
        sql: of BigQuery.
        project: of tables without one.
        dataset: of tables without one; empty is none.
        relation: returns the names of a table's schema and of the table in DuckDB, or refuses.

    Raises:
        Refusal: it can't be read, is no query, or names a table that does not exist.
    """
    exp = _sqlglot().exp
    trees = _parse(sql)
    if len(trees) != 1 or not isinstance(trees[0], exp.Query):
        raise Refusal(Code.UNIMPLEMENTED, "Only one SELECT statement at a time is supported here.")
    tree = trees[0]
    names = []
    for table in _tables(tree, exp):
        name = _name(table, project, dataset)
        schema, own = relation(name)
        table.set("catalog", None)
        table.set("db", exp.to_identifier(schema, quoted=True))
        table.set("this", exp.to_identifier(own, quoted=True))
        names.append(name)
    _widen(tree, exp)
    plain = names[0] if len(names) == 1 and _plain(tree, exp) else None
    return Translated(str(tree.sql(dialect="duckdb")), plain)


def _tables(tree: Any, exp: Any) -> list[Any]:
    """Return the references to tables, without those to the query's own WITH clauses."""
    own = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
    return [
        table
        for table in tree.find_all(exp.Table)
        if isinstance(table.this, exp.Identifier) and (table.db or table.name.lower() not in own)
    ]


def _name(table: Any, project: str, dataset: str) -> TableName:
    if not (table.db or dataset):
        raise _invalid(f'Table "{table.name}" must be qualified with a dataset (dataset.table).')
    return TableName(table.catalog or project, table.db or dataset, table.name)


def _widen(tree: Any, exp: Any) -> None:
    """NUMERIC without parameters has 38 digits, 9 of them fraction; DuckDB's default is (18, 3)."""
    for kind in tree.find_all(exp.DataType):
        if kind.is_type("decimal") and not kind.expressions:
            kind.replace(exp.DataType.build("DECIMAL(38, 9)", dialect="duckdb"))


def _plain(tree: Any, exp: Any) -> bool:
    return isinstance(tree, exp.Select) and all(
        isinstance(item, exp.Column | exp.Star) for item in tree.expressions
    )


def _parse(sql: str) -> list[Any]:
    sqlglot = _sqlglot()
    try:
        trees = [tree for tree in sqlglot.parse(sql, read="bigquery") if tree is not None]
    except sqlglot.errors.SqlglotError as error:
        raise _invalid(f"Syntax error: {error}") from None
    if not trees:
        raise _invalid("The SQL is empty.")
    return trees


def _sqlglot() -> Any:
    try:
        import sqlglot  # noqa: PLC0415 - an extra, as DuckDB is
    except ImportError:
        raise MissingExtra(
            "The local BigQuery translates SQL with sqlglot, which is not installed: "
            'pip install "headrace[local]"'
        ) from None
    return sqlglot


def _invalid(text: str) -> Refusal:
    return Refusal(Code.INVALID_ARGUMENT, text)
