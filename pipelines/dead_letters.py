"""What every pipeline takes for the rows that it rejects: where to keep them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import apache_beam as beam
from apache_beam.transforms.window import GlobalWindows

from connectors import dead_letter
from pipelines import checks, kinds
from pipelines.params import Group, param
from transforms.batch import Batch

__all__ = ["DeadLetters"]


@dataclass(frozen=True, kw_only=True)
class DeadLetters(Group):
    """A topic, a table or a folder; the record is the same in each."""

    dead_letter: dead_letter.Target = param(
        kinds.DEAD_LETTER,
        "Where to keep what was rejected, with the reason and the whole message: a topic, a "
        "BigQuery table PROJECT.DATASET.TABLE, or a folder.",
        example="./dead_letters, gs://my-bucket/dead_letters or projects/my-project/topics/dead",
        group="Dead letters",
    )

    def keep(self, pipeline: str, rejected: Sequence[beam.PCollection[Batch]]) -> None:
        """Add the steps that keep what other steps have rejected.

        Args:
            pipeline: name under which the failures are found again.
            rejected: the ``dead`` outputs of the steps.
        """
        # They come in the windows of their steps, and what is flattened must share its windows.
        anew = [
            dead | f"Rejected {number}" >> beam.WindowInto(GlobalWindows())
            for number, dead in enumerate(rejected)
        ]
        (
            tuple(anew)
            | "Rejected" >> beam.Flatten()
            | "DeadLetter" >> dead_letter.Write(self.dead_letter, pipeline)
        )

    def require_apart(self, flag: str, folder: str) -> None:
        """Refuse a folder that is, holds or lies in another of the pipeline."""
        if isinstance(self.dead_letter, dead_letter.Folder):
            checks.require_apart("--dead_letter", self.dead_letter.path, flag, folder)
