"""BigQuery's SQL to DuckDB's: tables found and checked, everything but SELECT refused."""

import pytest

from connectors.bigquery_local import dialect
from connectors.bigquery_local.errors import Code, Refusal
from connectors.bigquery_local.names import TableName


def relation(name: TableName) -> tuple[str, str]:
    """Return the names in DuckDB of the tables that exist here."""
    if name.table == "nowhere":
        raise Refusal(Code.NOT_FOUND, "Not found")
    return f"{name.project}.{name.dataset}", name.table


def translated(sql: str, dataset: str = "") -> str:
    """Return the statement in DuckDB's SQL."""
    return dialect.select(sql, "p", dataset, relation).sql


@pytest.mark.parametrize(("table", "expected"), [
    ("`q-1.d.t`", '"q-1.d"."t"'), ("q-1.d.t", '"q-1.d"."t"'), ("`q-1`.d.`t`", '"q-1.d"."t"'),
    ("d.t", '"p.d"."t"'), ("`d.t`", '"p.d"."t"'), ("`d.a-b`", '"p.d"."a-b"'),
])  # fmt: skip
def test_spellings_of_tables(table: str, expected: str) -> None:
    """With and without project and quotes."""
    assert translated(f"SELECT a FROM {table}") == f"SELECT a FROM {expected}"


def test_default_dataset() -> None:
    """A bare name needs one."""
    assert '"p.d"."t"' in translated("SELECT a FROM t", "d")
    with pytest.raises(Refusal, match="must be qualified"):
        translated("SELECT a FROM t")


def test_own_names_of_a_query() -> None:
    """WITH clauses are no tables, but a table may have the name of one."""
    sql = translated("WITH t AS (SELECT * FROM d.t) SELECT * FROM t JOIN d.u ON TRUE")
    assert '(SELECT * FROM "p.d"."t")' in sql
    assert 'FROM t CROSS JOIN "p.d"."u"' in sql or 'FROM t JOIN "p.d"."u"' in sql


def test_tables_inside_strings_stay() -> None:
    """Only the statement's structure counts, not its text."""
    assert translated("SELECT 'FROM d.t' AS x") == "SELECT 'FROM d.t' AS x"


def test_numeric_keeps_its_digits() -> None:
    """DuckDB's default has 3 digits of fraction."""
    assert "DECIMAL(38, 9)" in translated("SELECT CAST(1 AS NUMERIC)")
    assert "DECIMAL(5, 2)" in translated("SELECT CAST(1 AS NUMERIC(5, 2))")


@pytest.mark.parametrize(("sql", "plain"), [
    ("SELECT * FROM d.t", True), ("SELECT a, b FROM d.t WHERE a > 1", True),
    ("SELECT a + 1 AS a FROM d.t", False), ("SELECT * FROM d.t, d.u", False),
    ("SELECT * FROM d.t UNION ALL SELECT * FROM d.t", False), ("SELECT 1", False),
])  # fmt: skip
def test_plain_columns(sql: str, plain: bool) -> None:
    """Only columns as they are have the type of their table."""
    assert bool(dialect.select(sql, "p", "", relation).plain) is plain


@pytest.mark.parametrize(("sql", "code"), [
    ("DELETE FROM d.t WHERE TRUE", Code.UNIMPLEMENTED),
    ("CREATE TABLE d.x (a INT64)", Code.UNIMPLEMENTED),
    ("INSERT INTO d.t VALUES (1)", Code.UNIMPLEMENTED),
    ("SELECT 1; SELECT 2", Code.UNIMPLEMENTED),
    ("SELECT FROM", Code.INVALID_ARGUMENT), ("", Code.INVALID_ARGUMENT),
    ("--", Code.INVALID_ARGUMENT),
    ("SELECT * FROM d.nowhere", Code.NOT_FOUND),
    ("SELECT (SELECT MAX(a) FROM d.nowhere)", Code.NOT_FOUND),
])  # fmt: skip
def test_refused(sql: str, code: Code) -> None:
    """With the code that the REST API turns into its status."""
    with pytest.raises(Refusal) as caught:
        translated(sql)
    assert caught.value.code is code


def test_condition() -> None:
    """A WHERE clause without the word, and nothing more."""
    assert dialect.condition('a = "x" AND b IN (1, 2)') == "a = 'x' AND b IN (1, 2)"
    for bad in (
        "a = (SELECT 1)",
        "TRUE ORDER BY a",
        "TRUE LIMIT 1",
        "TRUE UNION ALL SELECT 1",
        "a =",
    ):
        with pytest.raises(Refusal):
            dialect.condition(bad)
