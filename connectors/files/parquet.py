"""Parquet: options, and the encodings that pay for the rows at hand."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

__all__ = ["Encodings", "FileOptions", "ParquetFile", "writer_options"]

_ZSTD_LEVEL = 1
_SAMPLE_ROWS = 2_048


class Encodings(Enum):
    """Which Parquet encodings are used for columns whose values rarely repeat."""

    PLAIN = "plain"
    """Every reader knows them."""
    DELTA = "delta"
    """A quarter less work, a few percent smaller; for Spark from 3.4 on, and not every reader."""


@dataclass(frozen=True)
class FileOptions:
    """How files are written.

    Args:
        row_group_rows: rows of one row group, the unit that readers skip or work on in parallel.
        compression: a codec of Arrow's Parquet writer, or ``none``.
        compression_level: of the codec; by default 1 for zstd, else the codec's own.
        encodings: for columns whose values rarely repeat.
    """

    row_group_rows: int = 131_072
    compression: str = "zstd"
    compression_level: int | None = None
    encodings: Encodings = Encodings.PLAIN

    @property
    def suffix(self) -> str:
        """How the names of files end."""
        return ".parquet"

    @property
    def block_rows(self) -> int:
        """Rows that are written together."""
        return self.row_group_rows

    def open(self, sink: Any, first: pa.Table) -> ParquetFile:
        """Begin a file.

        Args:
            sink: takes the bytes; the caller closes it.
            first: the first rows, from which encodings are chosen; ``write`` takes them too.
        """
        return ParquetFile(sink, first, self)

    @property
    def level(self) -> int | None:
        """The level to give to the codec; many accept none at all."""
        if self.compression_level is None and self.compression == "zstd":
            return _ZSTD_LEVEL
        return self.compression_level


class ParquetFile:
    """A file that is being written: see ``connectors.files.writer.Encoder``."""

    def __init__(self, sink: Any, first: pa.Table, options: FileOptions) -> None:
        self.schema = first.schema
        self._group_rows = options.row_group_rows
        self._writer = pq.ParquetWriter(sink, first.schema, **writer_options(first, options))

    def write(self, table: pa.Table) -> None:
        """Write row groups of at least the wanted size, if there are enough rows."""
        groups = max(1, table.num_rows // self._group_rows)
        self._writer.write_table(table, -(-table.num_rows // groups))

    def close(self) -> None:
        """Write the footer."""
        self._writer.close()


def writer_options(table: pa.Table, options: FileOptions) -> dict[str, Any]:
    """Return the options of ``ParquetWriter`` for a file that begins with these rows.

    A dictionary pays only where values repeat. For ids it costs a third of all work and makes
    the file larger, because the writer fills it, gives it up, and begins again. So a sample of
    the first row group decides for each column.
    """
    repeating: list[str] = []
    delta: dict[str, str] = {}
    for name, column in zip(table.schema.names, table.columns, strict=True):
        if _repeats(column):
            repeating.append(name)
        elif options.encodings is Encodings.DELTA:
            delta.update(_delta(name, column.type))
    return {
        "compression": options.compression,
        "compression_level": options.level,
        "use_dictionary": repeating,
        "column_encoding": delta or None,
    }


def _repeats(column: pa.ChunkedArray) -> bool:
    if pa.types.is_nested(column.type) or pa.types.is_boolean(column.type):
        return False
    sample = column.slice(0, _SAMPLE_ROWS)
    return bool(pc.count_distinct(sample).as_py() <= len(sample) // 2)


def _delta(name: str, kind: pa.DataType) -> dict[str, str]:
    if pa.types.is_integer(kind) or pa.types.is_timestamp(kind):
        return {name: "DELTA_BINARY_PACKED"}
    if pa.types.is_string(kind) or pa.types.is_binary(kind):
        return {name: "DELTA_LENGTH_BYTE_ARRAY"}
    return {}
