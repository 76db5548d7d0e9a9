"""A real table before the first row: made, checked, given new columns."""

from __future__ import annotations

import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from connectors.tables.prepare import Target, prepared
from connectors.tables.spec import Level, TableSpec
from connectors.tables.table import open_table
from tests.tables import KINDS, put_file, rows_of, spec_of
from transforms.errors import ConfigError, PermanentError

ROWS = pa.schema(
    [
        pa.field("id", pa.int64(), nullable=False),
        ("at", pa.timestamp("us", "UTC")),
        ("carrier", pa.string()),
        ("tags", pa.list_(pa.string())),
        ("place", pa.struct([("x", pa.float64())])),
    ]
)
LEVELS = (Level("date", "at", "date"), Level("carrier", "carrier"))


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def root(tmp_path: Path) -> str:
    folder = tmp_path / "lake"
    folder.mkdir()
    return str(folder)


def prepare(spec: TableSpec, rows: pa.Schema = ROWS) -> pa.Schema:
    return prepared(open_table(spec), spec, rows)


def test_a_table_is_made_and_found_again(kind: str, root: str) -> None:
    """With the columns of the rows; whoever comes second finds it."""
    spec = spec_of(kind, root, *LEVELS)
    first = prepare(spec)
    assert first.names == ROWS.names
    assert [field.type for field in first][:3] == [field.type for field in ROWS][:3]
    assert not first.field("id").nullable
    assert prepare(spec).equals(first, check_metadata=True)
    extra = ["date"] if kind == "delta" else []
    assert rows_of(kind, root).schema.names == [*ROWS.names, *extra]


def test_the_columns_of_iceberg_have_numbers_at_every_depth(root: str) -> None:
    """By them, and not by names, Iceberg knows a column that is renamed later."""
    columns = prepare(spec_of("iceberg", root))
    fields = [
        *columns,
        columns.field("tags").type.value_field,
        columns.field("place").type.field(0),
    ]
    numbers = [(field.metadata or {}).get(b"PARQUET:field_id") for field in fields]
    assert None not in numbers
    assert len(set(numbers)) == len(fields)


def test_another_type_is_refused(kind: str, root: str) -> None:
    """Naming the column, both types and the table."""
    prepare(spec_of(kind, root))
    other = ROWS.set(0, pa.field("id", pa.string(), nullable=False))
    with pytest.raises(ConfigError, match=r"schema='id: string'.*int64") as refused:
        prepare(spec_of(kind, root), other)
    assert root in str(refused.value)


def test_other_partitions_are_refused(kind: str, root: str) -> None:
    """Also in another order: files would be where readers don't look."""
    prepare(spec_of(kind, root, *LEVELS))
    for levels in ((), LEVELS[:1], LEVELS[::-1]):
        with pytest.raises(ConfigError, match=r"is not how the table .* is partitioned"):
            prepare(spec_of(kind, root, *levels))


def test_a_level_of_a_column_that_rows_lack_is_refused(kind: str, root: str) -> None:
    """Before a table is made."""
    with pytest.raises(ConfigError, match="needs the column gone"):
        prepare(spec_of(kind, root, Level("gone", "gone")))


def test_columns_are_added_when_asked(kind: str, root: str) -> None:
    """Nullable, whatever the rows say; else they are refused."""
    prepare(spec_of(kind, root))
    wider = ROWS.append(pa.field("more", pa.int64(), nullable=False))
    with pytest.raises(ConfigError, match=r"more: int64.*add_columns"):
        prepare(spec_of(kind, root), wider)
    columns = prepare(spec_of(kind, root, add_columns=True), wider)
    assert columns.field("more").type == pa.int64()
    assert columns.field("more").nullable
    assert prepare(spec_of(kind, root)).names == columns.names


def test_many_make_and_widen_one_table(kind: str, root: str) -> None:
    """Whoever is second finds what the first has done."""
    start = threading.Barrier(6)

    def work(number: int) -> list[str]:
        spec = spec_of(kind, root, add_columns=True)
        start.wait()
        prepare(spec)
        return prepare(spec, ROWS.append(pa.field(f"c{number % 2}", pa.int64()))).names

    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(work, range(6)))
    assert {"c0", "c1"} <= set(prepare(spec_of(kind, root)).names)
    assert all(set(ROWS.names) < set(names) for names in found)


def test_a_folder_of_plain_files_is_refused(kind: str, root: str) -> None:
    """Their rows would be in no version of the table."""
    put_file(Path(root, "date=2013-01-01", "a.parquet"), pa.table({"id": [1]}))
    with pytest.raises(ConfigError, match=r"in no table.*a\.parquet"):
        prepare(spec_of(kind, root))


def test_a_table_of_another_format_is_refused(kind: str, root: str) -> None:
    """One folder can't be two tables: the error tells what it is, with and without files in it."""
    (other,) = set(KINDS) - {kind}
    prepare(spec_of(other, root))
    with pytest.raises(ConfigError, match=rf"is a table of .*table_format={other}"):
        prepare(spec_of(kind, root))


def test_an_iceberg_table_under_another_name_is_refused(root: str) -> None:
    """Its catalog has it under a name that was not given, which is to be told."""
    prepare(spec_of("iceberg", root))
    put_file(Path(root, "a.parquet"), pa.table({"id": [1]}))
    with pytest.raises(ConfigError, match=r"does not know as default\.other"):
        prepare(spec_of("iceberg", root, name="default.other"))


def test_a_worker_asks_once_for_each_schema(kind: str, root: str) -> None:
    """And takes nothing along that another process could not have."""
    target = Target(spec_of(kind, root))
    columns = target.columns(ROWS)
    assert target.columns(ROWS) is columns
    again = pickle.loads(pickle.dumps(target))
    assert again.columns(ROWS).equals(columns, check_metadata=True)


def test_a_delta_table_with_rules_is_refused(root: str) -> None:
    """Files that are added as they are would not be checked."""
    write_deltalake(root, pa.table({"id": [1]}))
    DeltaTable(root).alter.add_constraint({"positive": "id > 0"})
    with pytest.raises(ConfigError, match=r"delta\.constraints\.positive"):
        prepare(spec_of("delta", root), pa.schema([("id", pa.int64())]))


def test_a_level_named_like_a_column_is_refused(root: str) -> None:
    """In Delta Lake it would be a second column of that name."""
    with pytest.raises(ConfigError, match="second column at"):
        prepare(spec_of("delta", root, Level("at", "at", "date")))


def test_an_iceberg_table_elsewhere_is_refused(root: str) -> None:
    """The table's place is its own: catalogs grant access to it, and tools clean it up."""
    spec = spec_of("iceberg", root)
    prepare(spec)
    catalog = f"type=sql,uri=sqlite:///{root}/_catalog.db,warehouse=file://{root}"
    other = spec_of("iceberg", f"{root}-2", name=spec.name, catalog=catalog)
    with pytest.raises(ConfigError, match="is not in the place of the table"):
        prepare(other)


def test_a_catalog_that_cannot_be_used_is_named(root: str) -> None:
    """With where its properties are described."""
    for catalog in ("nowhere", "type=sqll,uri=x"):
        with pytest.raises(ConfigError, match=f"catalog='{catalog}'"):
            prepare(spec_of("iceberg", root, catalog=catalog))


def test_a_table_that_is_dropped_is_told(kind: str, root: str) -> None:
    """Nothing makes it anew behind the back of whoever dropped it."""
    table = open_table(spec_of(kind, root))
    assert not table.refresh()
    with pytest.raises(PermanentError, match=r"the table .* is gone"):
        table.version("app")
