"""JSON lines: one object a line, plain, gzip or zstd."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa

from connectors.storage.joined import content, join, slices
from connectors.storage.json_columns import json_rows
from transforms.errors import ConfigError

__all__ = ["JsonLines"]

_SUFFIXES = {"none": "", "gzip": ".gz", "zstd": ".zst"}
_GZIP_WINDOW = 16 + zlib.MAX_WBITS
_LEVEL = 3
_ROWS = 16_384


@dataclass(frozen=True)
class JsonLines:
    """One JSON object a line, in UTF-8; ``connectors/storage/json_columns.py`` has the types.

    BigQuery, DuckDB, Spark and Polars read such files. All columns are in every line, null too.

    Args:
        compression: ``none``, ``gzip`` or ``zstd``.
        level: of the codec, from 1 (fast) to 9 or 19 (small).
    """

    compression: str = "gzip"
    level: int = _LEVEL

    def __post_init__(self) -> None:
        if self.compression not in _SUFFIXES:
            raise ConfigError(
                "compression", self.compression, f"must be one of {', '.join(_SUFFIXES)}",
                "Write for example gzip",
            )  # fmt: skip

    @property
    def suffix(self) -> str:
        """How the names of files end."""
        return f".jsonl{_SUFFIXES[self.compression]}"

    @property
    def block_rows(self) -> int:
        """Rows that are encoded together."""
        return _ROWS

    def open(self, sink: Any, first: pa.Table) -> JsonLinesFile:
        """Begin a file of rows like the first."""
        return JsonLinesFile(sink, first.schema, self)


class _Compressor(Protocol):
    def compress(self, data: Any) -> Any: ...

    def flush(self) -> bytes: ...


class _Plain:
    def compress(self, data: pa.Buffer) -> pa.Buffer:
        return data

    def flush(self) -> bytes:
        return b""


class _Zstd:
    """A frame for each block: a file of several frames is as good as one of one."""

    def __init__(self, level: int) -> None:
        self._codec = pa.Codec("zstd", level)

    def compress(self, data: pa.Buffer) -> pa.Buffer:
        return self._codec.compress(data)

    def flush(self) -> bytes:
        return b""


def _compressor(options: JsonLines) -> _Compressor:
    if options.compression == "gzip":
        return zlib.compressobj(options.level, zlib.DEFLATED, _GZIP_WINDOW)
    return _Zstd(options.level) if options.compression == "zstd" else _Plain()


class JsonLinesFile:
    """A file that is being written: see ``connectors.files.writer.Encoder``."""

    def __init__(self, sink: Any, schema: pa.Schema, options: JsonLines) -> None:
        self.schema = schema
        self._sink = sink
        self._compressor = _compressor(options)

    def write(self, table: pa.Table) -> None:
        """Write a line for each row."""
        for rows in slices(table, _ROWS):
            lines = join([json_rows(rows), pa.scalar("\n")], rows.num_rows)
            self._sink.write(self._compressor.compress(content(lines)))

    def close(self) -> None:
        """Write what the codec still holds."""
        self._sink.write(self._compressor.flush())
