"""Rows to files of one format, many at a time, streamed in blocks within bounds."""

from __future__ import annotations

import contextlib
import posixpath
import uuid
from dataclasses import dataclass, field
from typing import Any, Protocol

import pyarrow as pa

from connectors.records import LakeFile
from connectors.store import Store
from transforms.batch import Batch
from transforms.errors import HeadraceError, PermanentError

__all__ = ["Encoder", "FilesWriter", "Format", "merged_schema"]

PENDING_BYTES_MAX = 256 << 20
"""Rows that wait in memory for their block to fill; then the largest block is written."""
PENDING_BYTES_WANTED = 32 << 20
"""From here on a block is written if it is worth it: fresh memory costs more than encoding."""
GROUP_ROWS_MIN = 8_192
"""Rows that make a block worth writing; blocks of fewer rows compress and scan badly."""
RELIEF_BYTES = 4 << 20
"""What must come in before it is worth looking for a large group again."""
OPEN_FILES_MAX = 512
"""Files that are open at a time; below the usual limit of 1,024 per process."""
FILES_MAX = 100_000
"""Files of one bundle or pane: more is a partition by something like a user's id."""
_MEASURED_ROWS = 1_024
_CHUNK_ROWS_MIN = 256


class Encoder(Protocol):
    """A file that is being written."""

    schema: pa.Schema
    """Of all rows."""

    def write(self, table: pa.Table) -> None:
        """Write rows of the schema."""

    def close(self) -> None:
        """Write what belongs at the end; the sink is the caller's to close."""


class Format(Protocol):
    """How rows become a file: ``FileOptions`` for Parquet, ``JsonLines``, ``Avro``."""

    @property
    def suffix(self) -> str:
        """How the names of files end, such as ``.parquet``."""

    @property
    def block_rows(self) -> int:
        """Rows that are worth encoding together; fewer wait for more."""

    def open(self, sink: Any, first: pa.Table) -> Encoder:
        """Begin a file; ``first`` are its first rows, which are to be written after."""


@dataclass
class _File:
    """One file that is being written: rows that wait for their block, and the rest on disk."""

    staged: str
    path: str
    pending: list[pa.RecordBatch] = field(default_factory=list)
    pending_rows: int = 0
    pending_bytes: int = 0
    written_rows: int = 0
    encoder: Encoder | None = None
    sink: Any = None

    def close(self) -> None:
        """Write the footer, if anything was written; close the file even if that fails."""
        if self.encoder is not None:
            with self.sink:
                self.encoder.close()


class FilesWriter:
    """Writes rows to files by path; they stay staged until published.

    Guarantees:
        Memory: ``PENDING_BYTES_MAX`` of rows, and what the encoder needs per open file.
        Order: the rows of a path keep the order in which they came.
        A path gets one file, or several if more files than ``OPEN_FILES_MAX`` fill at the same
        time; then ``finish`` returns the path several times, and the caller tells them apart.

    Args:
        store: where the files are.
        staging: the folder that holds them until they are complete.
        files: how files are written.
    """

    def __init__(self, store: Store, staging: str, files: Format) -> None:
        self._store = store
        self._staging = staging
        self._format = files
        self._files: dict[str, _File] = {}
        self._open: dict[str, _File] = {}  # in the order of their last row group
        self._done: list[LakeFile] = []
        self._paths: set[str] = set()
        self._pending_bytes = 0
        self._relieved_bytes = 0  # nothing more to gain below
        self._row_bytes = 0.0

    def add(self, path: str, batch: Batch) -> None:
        """Take rows for a file, and write whole blocks."""
        if not len(batch):
            return
        file = self._files.get(path) or self._new_file(path)
        size = self._size(batch)
        file.pending.append(batch.rows)
        file.pending_rows += len(batch)
        file.pending_bytes += size
        self._pending_bytes += size
        if file.pending_rows >= self._format.block_rows:
            self._write(file)
        elif self._pending_bytes > max(PENDING_BYTES_WANTED, self._relieved_bytes):
            self._relieve()

    def _relieve(self) -> None:
        """Write the largest group: of rows in the order of time, a window that is complete."""
        largest = max(self._files.values(), key=lambda file: file.pending_bytes)
        if largest.pending_rows >= GROUP_ROWS_MIN or self._pending_bytes > PENDING_BYTES_MAX:
            self._write(largest)
            self._relieved_bytes = self._pending_bytes
        else:
            self._relieved_bytes = self._pending_bytes + RELIEF_BYTES

    def finish(self) -> list[LakeFile]:
        """Write what waits, close the files and return them; they are still staged."""
        # Open files first: to open one more may close another, which is then no longer ours.
        while self._files:
            self._finish(next(iter((self._open or self._files).values())))
        return self._done

    def abort(self) -> None:
        """Close and delete everything."""
        for file in self._files.values():
            # A full disk has no room for the footer, and a service that is gone takes no object.
            with contextlib.suppress(OSError, HeadraceError):
                file.close()
            self._store.remove(file.staged)
        for done in self._done:
            self._store.remove(done.staged)

    def _size(self, batch: Batch) -> int:
        """Estimate a size: to add up the buffers of a few rows costs more than to write them."""
        if len(batch) >= _MEASURED_ROWS or not self._row_bytes:
            self._row_bytes = batch.nbytes / len(batch)
        return int(len(batch) * self._row_bytes)

    def _new_file(self, path: str) -> _File:
        self._paths.add(path)
        if len(self._paths) > FILES_MAX:
            raise PermanentError(
                f"one step wants to write more than {FILES_MAX:,} files, for example {path}. "
                "Use longer windows, or partition by something with fewer values."
            )
        staged = posixpath.join(self._staging, f"{uuid.uuid4().hex}{self._format.suffix}.staged")
        file = self._files[path] = _File(staged, path)
        return file

    def _write(self, file: _File) -> None:
        """Write the pending rows."""
        schema = file.encoder.schema if file.encoder else merged_schema(file.pending, file.path)
        table = pa.Table.from_batches([_fitted(rows, schema, file.path) for rows in file.pending])
        if table.num_rows < len(file.pending) * _CHUNK_ROWS_MIN:
            table = table.combine_chunks()  # costs less than the encoder does per chunk
        self._pending_bytes -= file.pending_bytes
        file.pending, file.pending_rows, file.pending_bytes = [], 0, 0
        encoder = file.encoder or self._opened(file, table)
        self._open[file.path] = self._open.pop(file.path, file)
        encoder.write(table)
        file.written_rows += table.num_rows

    def _opened(self, file: _File, table: pa.Table) -> Encoder:
        if len(self._open) >= OPEN_FILES_MAX:
            self._finish(next(iter(self._open.values())))
        file.sink = self._store.output(file.staged)
        file.encoder = self._format.open(file.sink, table)
        return file.encoder

    def _finish(self, file: _File) -> None:
        if file.pending:
            self._write(file)
        file.close()
        self._open.pop(file.path, None)
        del self._files[file.path]
        size = self._store.size(file.staged)
        self._done.append(LakeFile(file.staged, file.path, file.written_rows, size))


def merged_schema(batches: list[pa.RecordBatch], path: str) -> pa.Schema:
    """Return the schema that holds the rows of all batches.

    Raises:
        PermanentError: two batches have types for a column that no common type can hold.
    """
    first = batches[0].schema
    others = [rows.schema for rows in batches[1:] if not rows.schema.equals(first)]
    if not others:
        return first
    try:
        return pa.unify_schemas([first, *others], promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise PermanentError(f"rows for {path} don't fit into one file: {error}") from error


def _fitted(rows: pa.RecordBatch, schema: pa.Schema, path: str) -> pa.RecordBatch:
    """Return the rows in the schema of the file; what they lack is null."""
    if rows.schema.equals(schema):
        return rows
    unknown = set(rows.schema.names) - set(schema.names)
    if unknown:
        raise PermanentError(
            f"the schema changed while {path} was written: {sorted(unknown)} came up after the "
            "first rows were on disk. Give all rows of a window one schema."
        )
    try:
        return pa.RecordBatch.from_arrays([_cast(rows, field) for field in schema], schema=schema)
    except pa.ArrowInvalid as error:
        raise PermanentError(f"rows for {path} don't fit into its schema: {error}") from error


def _cast(rows: pa.RecordBatch, field: pa.Field) -> pa.Array:
    if field.name not in rows.schema.names:
        return pa.nulls(rows.num_rows, field.type)
    return rows.column(field.name).cast(field.type)
