"""What pipelines take that write a Parquet lake."""

from __future__ import annotations

from dataclasses import dataclass

from connectors import lake
from pipelines import kinds
from pipelines.changes import refused, told
from pipelines.params import Group, param

__all__ = ["LakeFolder"]


@dataclass(frozen=True, kw_only=True)
class LakeFolder(Group):
    """A folder with Hive-style folders in it."""

    output: str = param(
        kinds.FOLDER,
        "Folder of the lake.",
        example="./lake or gs://my-bucket/lake",
        group="Lake",
        change=told("windows that are open are written to the new one"),
    )
    partition_by: tuple[lake.Partition, ...] = param(
        kinds.PARTITIONS,
        "Folders within the lake, outermost first: a column, or year, month, date, hour or "
        "minute(COLUMN).",
        example="date(departure),carrier",
        default="",
        group="Lake",
    )
    shards: int = param(
        kinds.COUNT,
        "Parallel parts of de-duplication, and files of each window on a runner without end.",
        default="1",
        group="Lake",
        change=refused("what de-duplication remembers is parted by it"),
    )

    def write(self, table: lake.Delta | lake.Iceberg | None = None) -> lake.Write:
        """Return the step that writes.

        Args:
            table: what the files are a table of, as of ``LakeTable``; None for plain files.
        """
        return lake.Write(
            self.output, partition_by=self.partition_by, shards=self.shards, table=table
        )
