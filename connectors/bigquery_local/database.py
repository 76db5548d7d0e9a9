"""DuckDB as the server wants it: one process at a time, UTC, and no way out of the database."""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import IO, Any

from connectors.bigquery_local.errors import MissingExtra, StoreInUse

__all__ = ["locked", "open_database", "quoted"]

FILE = "bigquery.duckdb"
"""Name of the file in the data directory."""

_SETTINGS = """
SET GLOBAL TimeZone = 'UTC';
SET GLOBAL python_enable_replacements = false;  -- a table's name is never that of a Python variable
SET enable_external_access = false;      -- nor does a query read files
"""
_OWN = """
CREATE SCHEMA IF NOT EXISTS _server;
CREATE TABLE IF NOT EXISTS _server.records (kind VARCHAR, name VARCHAR, body VARCHAR);
CREATE TABLE IF NOT EXISTS _server.progress (stream VARCHAR, total BIGINT, visible BIGINT);
CREATE TABLE IF NOT EXISTS _server.staged (stream VARCHAR, first BIGINT, rows BLOB);
CREATE TABLE IF NOT EXISTS _server.changes (owner VARCHAR, key VARCHAR, sequence VARCHAR);
"""


def quoted(name: str) -> str:
    """Return an identifier of DuckDB's SQL."""
    return '"' + name.replace('"', '""') + '"'


def locked(directory: Path) -> IO[str]:
    """Return the open file whose lock keeps others away; DuckDB lets its own process in twice."""
    directory.mkdir(parents=True, exist_ok=True)
    lock = (directory / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise StoreInUse(f"{directory} can't be opened: another server has it open.") from None
    return lock


def open_database(directory: Path | None) -> Any:
    """Return a connection to the database with the server's own tables.

    Args:
        directory: of the file; None keeps everything in memory.

    Raises:
        MissingExtra: DuckDB is not installed.
        StoreInUse: the file can't be opened.
    """
    try:
        import duckdb  # noqa: PLC0415 - an extra: the sentence below is for those without it
    except ImportError:
        raise MissingExtra(
            "The local BigQuery keeps its rows in DuckDB, which is not installed: "
            'pip install "headrace[local]"'
        ) from None
    if directory is None:
        return _prepared(duckdb.connect(":memory:"))
    try:
        return _prepared(duckdb.connect(str(directory / FILE)))
    except duckdb.IOException as error:
        raise StoreInUse(f"{directory / FILE} can't be opened: {error}") from None


def _prepared(connection: Any) -> Any:
    connection.execute(_SETTINGS)
    connection.execute(_OWN)
    return connection
