"""Keep the rows that a condition means."""

from __future__ import annotations

from collections.abc import Iterator

import apache_beam as beam

from transforms.batch import Batch
from transforms.condition import Condition
from transforms.metrics import ROWS_FILTERED

__all__ = ["Filter"]


class Filter(beam.PTransform):
    """Leave out the rows that a condition does not mean; ``rows_filtered`` counts them.

    There is no dead output, for no row can fail: a condition that can't be tested, because a
    column is missing or of another type, is an error of the configuration and stops the pipeline.

    Args:
        condition: as text or as ``Condition``; None means every row.

    Raises:
        ConfigError: the text is no condition.
    """

    def __init__(self, condition: Condition | str | None) -> None:
        super().__init__()
        self._condition = Condition(condition) if isinstance(condition, str) else condition

    def expand(self, batches: beam.PCollection[Batch]) -> beam.PCollection[Batch]:
        """Filter batch by batch."""
        if self._condition is None:
            return batches
        return batches | beam.ParDo(_Filter(self._condition)).with_output_types(Batch)


class _Filter(beam.DoFn):
    def __init__(self, condition: Condition) -> None:
        self._condition = condition

    def process(self, batch: Batch) -> Iterator[Batch]:
        kept = batch.filter(self._condition.mask(batch))
        ROWS_FILTERED.inc(len(batch) - len(kept))
        if len(kept):
            yield kept
