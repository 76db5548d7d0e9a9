"""Tables as their own libraries read them, for tests of what was written to them."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable
from pyiceberg.table import Table

from connectors.records import LakeFile
from connectors.tables.catalogs import catalog_of
from connectors.tables.spec import TableSpec

KINDS = ("delta", "iceberg")


def spec_of(kind: str, root: str, *levels: object, **more: object) -> TableSpec:
    """Return the spec of a table as ``lake.Write`` makes it by default."""
    name = "" if kind == "delta" else f"default.{Path(root).name}"
    return TableSpec(kind, root, tuple(levels), **({"name": name} | more))  # type: ignore[arg-type]


def rows_of(kind: str, root: str, catalog: str = "") -> pa.Table:
    """Return the rows of a table's newest version, by its own library."""
    if kind == "delta":
        return DeltaTable(root).to_pyarrow_table()
    return _iceberg(root, catalog).scan().to_arrow()


def files_of(kind: str, root: str) -> list[str]:
    """Return the paths of the data files that the newest version names."""
    if kind == "delta":
        return sorted(DeltaTable(root).file_uris())
    paths = _iceberg(root).inspect.files()["file_path"].to_pylist()
    return sorted(path.removeprefix("file://") for path in paths)


def commits_of(kind: str, root: str) -> list[tuple[str, int]]:
    """Return who has added files, and the number of the commit, oldest first."""
    if kind == "delta":
        told = [each for each in DeltaTable(root).history() if "headrace.app" in each][::-1]
    else:
        snapshots = _iceberg(root).metadata.snapshots
        told = [each.summary.additional_properties for each in snapshots if each.summary]
    return [(each["headrace.app"], int(each["headrace.version"])) for each in told]


def _iceberg(root: str, catalog: str = "") -> Table:
    spec = spec_of("iceberg", root, catalog=catalog)
    return catalog_of(spec).load_table(spec.name)


def put_file(path: Path, rows: pa.Table) -> LakeFile:
    """Write a file where it belongs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(rows, path)
    return LakeFile("", str(path), rows.num_rows, path.stat().st_size)
