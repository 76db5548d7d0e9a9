"""Avro object container files, made column by column."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from connectors.storage.avro_columns import avro_rows, varints
from connectors.storage.avro_schema import avro_schema
from connectors.storage.joined import content, slices
from transforms.errors import ConfigError

__all__ = ["Avro"]

_CODECS = ("null", "deflate", "zstandard")
_MAGIC = b"Obj\x01"
_SYNC_BYTES = 16
_LEVEL = 3
_BLOCK_ROWS = 4_096
"""Rows of one block, the unit that readers work on in parallel."""
_ROWS = 16_384


@dataclass(frozen=True)
class Avro:
    """Avro object container files; ``connectors/storage/avro_schema.py`` has the types.

    Args:
        codec: ``null``, ``deflate`` or ``zstandard``; every reader knows the first two.
        level: of the codec, from 1 (fast) to 9 or 19 (small).
        name: of the record in the schema.
    """

    codec: str = "deflate"
    level: int = _LEVEL
    name: str = "Row"

    def __post_init__(self) -> None:
        if self.codec not in _CODECS:
            raise ConfigError(
                "codec", self.codec, f"must be one of {', '.join(_CODECS)}",
                "Write for example deflate",
            )  # fmt: skip

    @property
    def suffix(self) -> str:
        """How the names of files end."""
        return ".avro"

    @property
    def block_rows(self) -> int:
        """Rows that are encoded together."""
        return _ROWS

    def open(self, sink: Any, first: pa.Table) -> AvroFile:
        """Begin a file of rows like the first."""
        return AvroFile(sink, first.schema, self)


class AvroFile:
    """A file that is being written: see ``connectors.files.writer.Encoder``."""

    def __init__(self, sink: Any, schema: pa.Schema, options: Avro) -> None:
        self.schema = schema
        self._sink = sink
        self._compress = _compressor(options)
        self._sync = os.urandom(_SYNC_BYTES)
        text = json.dumps(avro_schema(schema, options.name)).encode()
        entries = {b"avro.schema": text, b"avro.codec": options.codec.encode()}
        header = [part for pair in entries.items() for part in map(_sized, pair)]
        count, end = _varint(len(entries)), _varint(0)
        sink.write(b"".join([_MAGIC, count, *header, end, self._sync]))

    def write(self, table: pa.Table) -> None:
        """Write blocks of rows."""
        for rows in slices(table, _BLOCK_ROWS):
            block = self._compress(content(avro_rows(rows)))
            size = block.size if isinstance(block, pa.Buffer) else len(block)
            self._sink.write(_varint(rows.num_rows) + _varint(size))
            self._sink.write(block)
            self._sink.write(self._sync)

    def close(self) -> None:
        """Nothing to do: every block is complete in itself."""


def _compressor(options: Avro) -> Callable[[pa.Buffer], Any]:
    if options.codec == "zstandard":
        return pa.Codec("zstd", options.level).compress
    if options.codec == "null":
        return lambda block: block

    def deflate(block: pa.Buffer) -> bytes:
        # Avro wants the bare stream, without the header and checksum of zlib.
        compressor = zlib.compressobj(options.level, zlib.DEFLATED, -zlib.MAX_WBITS)
        return compressor.compress(block) + compressor.flush()

    return deflate


def _varint(number: int) -> bytes:
    return varints(np.array([number], np.int64))[0].as_py()


def _sized(value: bytes) -> bytes:
    return _varint(len(value)) + value
