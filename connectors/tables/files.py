"""The files of a commit: their footers, from which the statistics of a table are made."""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import pyarrow.parquet as pq

from connectors import cloud_storage as cloud
from connectors.objects import store_of
from connectors.records import LakeFile
from connectors.retry import Backoff
from connectors.store import is_remote
from transforms.errors import PermanentError

__all__ = ["DataFile", "data_files", "digest"]

_CALLS_MAX = 16
_FOOTER_BYTES = 64 << 10
"""Asked for at a time; few footers are larger."""


class DataFile(NamedTuple):
    """A file that is in place: its path, its size, and what its footer tells."""

    path: str
    bytes: int
    footer: pq.FileMetaData


def digest(files: Sequence[LakeFile]) -> str:
    """Return a short text that tells these files from others."""
    told = "\n".join(sorted(f"{posixpath.basename(file.path)} {file.rows}" for file in files))
    return hashlib.blake2b(told.encode(), digest_size=12).hexdigest()


def data_files(files: Sequence[LakeFile]) -> list[DataFile]:
    """Read the footers of files, on Cloud Storage many at a time and no more than them.

    Raises:
        PermanentError: a file is gone, or is not the one that was written.
    """
    if len(files) < 2 or not is_remote(files[0].path):  # noqa: PLR2004 (one needs no threads)
        return [_data_file(file) for file in files]
    with ThreadPoolExecutor(_CALLS_MAX) as pool:
        return list(pool.map(_data_file, files))


def _data_file(file: LakeFile) -> DataFile:
    try:
        found = _remote(file.path) if is_remote(file.path) else _local(file.path)
    except FileNotFoundError:
        raise PermanentError(
            f"{file.path} is gone before it was added to its table. Who cleans up this folder? "
            "Let it keep what is younger than a day"
        ) from None
    if found.footer.num_rows != file.rows:
        raise PermanentError(
            f"{file.path} has {found.footer.num_rows} rows, not the {file.rows} that were written: "
            "two jobs write under one name. Give each a name of its own (job), or its own path"
        )
    return found


def _local(path: str) -> DataFile:
    return DataFile(path, store_of(path).size(path), pq.read_metadata(path))


def _remote(path: str) -> DataFile:
    def read() -> DataFile:
        with cloud.blob(path).open("rb", chunk_size=_FOOTER_BYTES, **cloud.ONCE) as file:
            footer = pq.read_metadata(file)
            return DataFile(path, file.seek(0, 2), footer)

    return cloud.call(path, read, Backoff())
