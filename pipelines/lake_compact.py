r"""Merge the small files of a Parquet lake into larger ones, while others write to it and read it.

Windows and shards make many small files, which are slow to list and to scan. Files of one folder
become one; every row stays in the lake once. Writers go on meanwhile. Readers that list the folder
see the rows of a merged file twice for the moment between its appearance and the removal of its
sources; those that ask connectors.lake.files_of see each row once at every moment.

    python -m pipelines.lake_compact --lake=gs://my-bucket/lake --file_bytes=128000000 --age=1h

It is one bounded run: killed at any moment, the lake is as before or as after. Start it again and
it goes on with what is left; started without need, it changes nothing.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import apache_beam as beam

from connectors import lake
from pipelines import kinds, launch
from pipelines.figures import MERGING, Figures
from pipelines.params import Group, param
from transforms.errors import ConfigError

__all__ = ["Params", "build"]


@dataclass(frozen=True, kw_only=True)
class Params(Group):
    """Parameters of the pipeline; see ``--help``."""

    lake: str = param(
        kinds.FOLDER,
        "Folder of the lake.",
        example="./lake or gs://my-bucket/lake",
        group="Lake",
    )
    file_bytes: int = param(
        kinds.COUNT,
        "Size of the files that are wanted; a file of half of it or more stays as it is.",
        default="134217728",
        group="Lake",
    )
    age: float = param(
        kinds.DURATION,
        "Files that were written less than this ago stay as they are: whoever has just written "
        "one may write it again.",
        default="1h",
        group="Lake",
    )

    def figures(self) -> Figures:
        """Return what became of files."""
        return MERGING

    def check(self) -> None:
        """Refuse a folder that is not there: to make one would hide that it was misspelt."""
        if "://" not in self.lake and not os.path.isdir(self.lake):
            raise ConfigError(
                "--lake", self.lake, "is no folder",
                "Give the folder that a pipeline's --output named",
            )  # fmt: skip


def build(pipeline: beam.Pipeline, params: Params) -> None:
    """Add the steps to a pipeline."""
    compact = lake.Compact(params.lake, file_bytes=params.file_bytes, age_s=params.age)
    pipeline | "Compact" >> compact


if __name__ == "__main__":
    launch.main("pipelines.lake_compact")
