"""Dead letters at the edge: the time and the pipeline's name, which transforms don't know."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import apache_beam as beam

from transforms.batch import Batch
from transforms.failure import stamp

__all__ = ["Stamp"]


class Stamp(beam.PTransform):
    """Fill ``pipeline`` and ``failed_at`` of failures in, before any sink writes them.

    Args:
        pipeline: name under which the failures are found again, such as the job's name.
    """

    def __init__(self, pipeline: str) -> None:
        super().__init__()
        self._pipeline = pipeline

    def expand(self, dead: beam.PCollection[Batch]) -> beam.PCollection[Batch]:
        """Map batches of failures to stamped ones."""
        return dead | beam.ParDo(_Stamp(self._pipeline)).with_output_types(Batch)


class _Stamp(beam.DoFn):
    def __init__(self, pipeline: str) -> None:
        self._pipeline = pipeline

    def process(self, dead: Batch) -> Iterator[Batch]:
        yield stamp(dead, self._pipeline, dt.datetime.now(dt.timezone.utc))
