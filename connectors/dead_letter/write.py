"""``dead_letter.Write``: failures to a folder, a topic or a table."""

from __future__ import annotations

import apache_beam as beam
from apache_beam.transforms.window import FixedWindows

from connectors import lake
from connectors.dead_letter.stamp import Stamp
from connectors.dead_letter.target import Folder, Target
from transforms.batch import Batch
from transforms.errors import ConfigError
from transforms.metrics import FAILURES_WRITTEN

__all__ = ["Write"]

WINDOW_S = 600
"""Of a folder: the failures of ten minutes share a file."""


class Write(beam.PTransform):
    """Keep failures, with the name of the pipeline and the time.

    Args:
        target: a folder, a topic or a table; see ``target``.
        pipeline: name under which the failures are found again.

    Raises:
        ConfigError: the target can't be used.
    """

    def __init__(self, target: Target, pipeline: str) -> None:
        super().__init__()
        self._target = target
        self._pipeline = pipeline

    def expand(self, dead: beam.PCollection[Batch]) -> None:
        """Stamp, then write as the target asks."""
        match self._target:
            case Folder(path):
                _to_folder(dead, path, self._pipeline)
            case other:
                raise ConfigError(
                    "dead letter", str(other), "is no folder, and others are not known yet",
                    "Give a folder",
                )  # fmt: skip


def _to_folder(dead: beam.PCollection[Batch], path: str, pipeline: str) -> None:
    (
        dead
        | "Window" >> beam.WindowInto(FixedWindows(WINDOW_S))
        | "Stamp" >> Stamp(pipeline)
        | "Write" >> lake.Write(path, rows_written=FAILURES_WRITTEN)
    )
