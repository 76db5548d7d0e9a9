"""What is asked for, before any table is touched."""

from __future__ import annotations

import subprocess
import sys

import pytest

from connectors.tables import Delta, Iceberg
from connectors.tables.spec import Level, TableSpec
from connectors.tables.table import open_table
from tests.processes import ROOT
from transforms.errors import ConfigError

DATE = Level("date", "at", "date")


def test_a_table_of_iceberg_is_named_after_its_folder() -> None:
    """Points would part its name."""
    spec = Iceberg().spec("/data/my.lake", [DATE])
    assert spec == TableSpec("iceberg", "/data/my.lake", (DATE,), name="default.my_lake")
    assert Iceberg(name="a.b").spec("/data/x", []).name == "a.b"


@pytest.mark.parametrize(
    "catalog",
    ["type=rest,uri=https://h,token=abc", "type=rest,credential=a:b", "s3.secret-access-key=x",
     "type=sql,uri=postgresql://me:secret@host/db"],
)  # fmt: skip
def test_a_secret_is_refused_and_not_repeated(catalog: str) -> None:
    """It would stand in each commit's record, and in the list of processes."""
    with pytest.raises(ConfigError, match="must not hold a secret") as refused:
        Iceberg(catalog=catalog)
    assert "abc" not in str(refused.value)
    assert "me:secret" not in str(refused.value)


def test_a_name_needs_a_namespace() -> None:
    """Catalogs have no tables outside of one."""
    with pytest.raises(ConfigError, match="namespace"):
        Iceberg(name="departures")


def test_iceberg_on_cloud_storage_needs_a_catalog() -> None:
    """A file of SQLite can't be there."""
    with pytest.raises(ConfigError, match="catalog: is needed"):
        Iceberg().spec("gs://bucket/lake", [])
    assert Iceberg(catalog="prod").spec("gs://bucket/lake", []).catalog == "prod"


def test_iceberg_has_no_minutes() -> None:
    """Delta Lake has: there it is a text."""
    minute = Level("minute", "at", "minute")
    with pytest.raises(ConfigError, match=r"minute\(at\).*no partition of Iceberg"):
        Iceberg().spec("/lake", [minute])
    assert Delta().spec("/lake", [minute]).levels == (minute,)


@pytest.mark.parametrize("kind", ["delta", "iceberg"])
def test_a_package_that_is_missing_is_named_with_its_extra(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who has installed Headrace alone is told what to install."""
    package = {"delta": "deltalake", "iceberg": "pyiceberg.catalog"}[kind]
    monkeypatch.setitem(sys.modules, package, None)
    for name in ("delta", "iceberg", "catalogs"):
        monkeypatch.delitem(sys.modules, f"connectors.tables.{name}", raising=False)
    with pytest.raises(ConfigError, match=rf"pip install '.\[{kind}\]'"):
        open_table(TableSpec(kind, "/lake"))


def test_the_packages_are_imported_only_where_a_table_is_written() -> None:
    """Who writes plain files neither needs them nor pays for their import."""
    code = (
        "import sys, connectors.lake; sys.exit(bool({'deltalake', 'pyiceberg'} & {*sys.modules}))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
