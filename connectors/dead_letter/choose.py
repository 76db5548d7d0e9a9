"""``Choose``: which failures are replayed, and which are not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import apache_beam as beam
import pyarrow.compute as pc

from connectors.dead_letter.guard import guard
from connectors.dead_letter.select import Selection
from transforms.batch import Batch
from transforms.metrics import DEAD_LETTERS, ROWS_FILTERED

__all__ = ["Choose", "Chosen"]


class Chosen(NamedTuple):
    """Every failure is in exactly one of the three."""

    ok: beam.PCollection[Batch]
    """Failures to be replayed: their messages count this replay."""
    worn: beam.PCollection[Batch]
    """Failures whose message was replayed too often, as they came."""
    others: beam.PCollection[Batch]
    """Failures that are not meant, as they came."""


class Choose(beam.PTransform):
    """Divide failures into those to replay, those replayed too often, and those not meant.

    ``dead_letters`` counts those replayed too often, and ``rows_filtered`` those not meant.

    Args:
        selection: which are meant.
        replays_max: how often a message may be replayed, see ``guard``.
    """

    def __init__(self, selection: Selection, replays_max: int) -> None:
        super().__init__()
        self._selection = selection
        self._replays_max = replays_max

    def expand(self, failures: beam.PCollection[Batch]) -> Chosen:
        """Divide batch by batch."""
        divide = beam.ParDo(_Divide(self._selection, self._replays_max))
        typed = divide.with_output_types(Batch, worn=Batch, others=Batch)
        outputs = failures | typed.with_outputs("worn", "others", main="ok")
        return Chosen(outputs.ok, outputs.worn, outputs.others)


class _Divide(beam.DoFn):
    def __init__(self, selection: Selection, replays_max: int) -> None:
        self._selection = selection
        self._replays_max = replays_max

    def process(self, failures: Batch) -> Iterator[Batch | beam.pvalue.TaggedOutput]:
        meant = self._selection.mask(failures)
        others = failures.filter(pc.invert(meant))
        ok, worn = guard(failures.filter(meant), self._replays_max)
        ROWS_FILTERED.inc(len(others))
        DEAD_LETTERS.inc(len(worn))
        if len(ok):
            yield ok
        for tag, rows in (("worn", worn), ("others", others)):
            if len(rows):
                yield beam.pvalue.TaggedOutput(tag, rows)
