"""What pipelines take that write objects to Cloud Storage, or files."""

from __future__ import annotations

from dataclasses import dataclass

from connectors import storage
from connectors.files.writer import Format
from pipelines import kinds
from pipelines.changes import refused, told
from pipelines.params import Group, param

__all__ = ["StorageFolder"]


@dataclass(frozen=True, kw_only=True)
class StorageFolder(Group):
    """A folder with folders by time in it."""

    output: str = param(
        kinds.FOLDER,
        "Folder for the objects.",
        example="gs://my-bucket/clicks or ./clicks",
        group="Output",
        change=told("windows that are open are written to the new one"),
    )
    format: Format = param(
        kinds.FILE_FORMAT,
        "Format and codec: jsonl:gzip, zstd or none; avro:deflate, zstandard or null; "
        "parquet:zstd, snappy, gzip, lz4 or none.",
        example="jsonl:zstd",
        default="avro",
        group="Output",
    )
    folders: str = param(
        kinds.FOLDER_TEMPLATE,
        "Folders below the output by the start of the window in UTC, with %Y %m %d %H %M %S %j.",
        example="dt=%Y-%m-%d/hour=%H",
        default="%Y/%m/%d",
        group="Output",
    )
    shards: int = param(
        kinds.COUNT,
        "Parallel parts of de-duplication, and objects of each window on a runner without end.",
        default="1",
        group="Output",
        change=refused("what de-duplication remembers is parted by it"),
    )

    def write(self) -> storage.Write:
        """Return the step that writes rows."""
        return storage.Write(self.output, self.format, folders=self.folders, shards=self.shards)

    def archive(self) -> storage.Archive:
        """Return the step that writes messages as they are."""
        return storage.Archive(self.output, self.format, folders=self.folders, shards=self.shards)
