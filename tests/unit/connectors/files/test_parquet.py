"""Encodings, statistics and codec of Parquet files."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from connectors.files.parquet import Encodings, FileOptions, writer_options


def write(path: Path, table: pa.Table, options: FileOptions) -> pq.ParquetFile:
    with pa.OSFile(str(path), "wb") as sink:
        file = options.open(sink, table)
        file.write(table)
        file.close()
    return pq.ParquetFile(path)


def test_a_dictionary_is_used_where_values_repeat() -> None:
    """Ids get none; nested and boolean columns, which can't be counted, get none either."""
    table = pa.table(
        {"id": [str(n) for n in range(100)], "kind": ["a", "b"] * 50, "flag": [True] * 100,
         "n": list(range(100)), "tags": [[1]] * 100}
    )  # fmt: skip
    options = writer_options(table, FileOptions())
    assert options["use_dictionary"] == ["kind"]
    assert options["column_encoding"] is None


def test_delta_encodings_are_for_columns_without_dictionary(tmp_path: Path) -> None:
    """Numbers and texts that rarely repeat; the file reads the same."""
    numbers = range(99)
    columns = {"id": [str(n) for n in numbers], "n": list(numbers), "x": [n / 7 for n in numbers]}
    table = pa.table(columns)
    file = write(tmp_path / "f", table, FileOptions(encodings=Encodings.DELTA))
    group = file.metadata.row_group(0)
    encodings = [group.column(index).encodings for index in range(3)]
    assert "DELTA_LENGTH_BYTE_ARRAY" in encodings[0]
    assert "DELTA_BINARY_PACKED" in encodings[1]
    assert "PLAIN" in encodings[2]
    assert file.read().equals(table)


def test_row_groups_carry_statistics_and_the_codec(tmp_path: Path) -> None:
    """Readers skip row groups by them."""
    file = write(tmp_path / "f", pa.table({"n": [3, 1, 2]}), FileOptions())
    column = file.metadata.row_group(0).column(0)
    assert (column.statistics.min, column.statistics.max) == (1, 3)
    assert column.compression == "ZSTD"
