"""The store: one clear sentence without DuckDB, and transactions that hold."""

import sys
from pathlib import Path

import pytest

from connectors.bigquery_local import Server
from connectors.bigquery_local.errors import MissingExtra, OtherProject
from connectors.bigquery_local.store import Store


@pytest.mark.parametrize("package", ["duckdb", "sqlglot"])
def test_missing_extra(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server does not start, and says what to install."""
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtra, match=r'pip install "headrace\[local\]"'), Server():
        pass


def test_directory_of_another_project(tmp_path: Path) -> None:
    """Its schemas would have other names; and the refused server leaves the lock."""
    Store(tmp_path, "p").close()
    with pytest.raises(OtherProject, match="belongs to the project p"):
        Store(tmp_path, "q")
    Store(tmp_path, "p").close()


def _save_and_fail(store: Store) -> None:
    with store.transaction():
        with store.transaction():
            store.save("dataset", "a", {})
        raise ZeroDivisionError


def test_inner_transaction_joins_the_outer(tmp_path: Path) -> None:
    """What the outer one rolls back is gone, also what an inner one wrote."""
    store = Store(tmp_path, "p")
    with pytest.raises(ZeroDivisionError):
        _save_and_fail(store)
    with store.transaction():
        store.save("dataset", "b", {})
    store.close()
    again = Store(tmp_path, "p")
    assert list(again.records("dataset")) == ["b"]
    again.close()
