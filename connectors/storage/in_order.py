"""``storage.ReadInOrder``: an archive in the order in which its messages were published."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import apache_beam as beam
from apache_beam.io.restriction_trackers import OffsetRange, OffsetRestrictionTracker
from apache_beam.transforms.core import RestrictionProvider
from apache_beam.transforms.window import TimestampedValue

from connectors.storage.read import checked_files, read_archive_file
from connectors.storage.spans import Span, extent, merged, spans
from transforms.batch import Batch
from transforms.message import earliest_publish_time
from transforms.metrics import MESSAGES_READ

__all__ = ["ReadInOrder", "ReadSpans", "Spans"]

SPAN_BYTES = 256 * 1024 * 1024
"""Of the files that are read at a time, as far as time can be cut between them."""


class ReadInOrder(beam.PTransform):
    """Read an archive in the order of publishing, so that it can be published again.

    Guarantees:
        Bounded. Each message of each file once; on a durable runner also when it was killed, but
        for what comes behind: a span of time that was begun is read again.
        Order: by publish time, and at one time as in the files. It holds as far as the runner
        keeps the order of elements: to steps that need no shuffle.
        Memory: 256 MiB of messages and a file more, if files are that small. Each file is read
        once to learn its times, and then once for each span that it overlaps, mostly one.

    Args:
        path: the folder, or one below it; ``gs://BUCKET/FOLDER`` too.
        since: only what was published at this time or later.
        until: only what was published before this time.

    Raises:
        ConfigError: there is no file of an archive in the folder.
    """

    def __init__(
        self, path: str, since: dt.datetime | None = None, until: dt.datetime | None = None
    ) -> None:
        super().__init__()
        self._path = path
        self._since = since
        self._until = until

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection[Batch]:
        """List the files now; then cut time, and read span by span."""
        files = tuple(file.path for file in checked_files(self._path))
        found = Spans(_micros(self._since), _micros(self._until))
        return (
            begin
            | "Files" >> beam.Create([files], reshuffle=False)
            | "Spans" >> beam.ParDo(found).with_output_types(tuple[Span, ...])
            | "Read" >> beam.ParDo(ReadSpans()).with_output_types(Batch)
        )


class Spans(beam.DoFn):
    """The files of an archive to the spans of time in which they are to be read.

    Args:
        since_us: leave out what is before; None for nothing.
        until_us: leave out what is not before; None for nothing. Both in microseconds since 1970.
    """

    def __init__(self, since_us: int | None, until_us: int | None) -> None:
        super().__init__()
        self._since_us = since_us
        self._until_us = until_us

    def process(self, files: tuple[str, ...]) -> Iterator[tuple[Span, ...]]:
        """Look through all files for their times."""
        extents = [extent(path, read_archive_file(path)) for path in files]
        whole = spans([found for found in extents if found is not None], SPAN_BYTES)
        parts = [span.within(self._since_us, self._until_us) for span in whole]
        yield tuple(part for part in parts if part is not None)


class _Position(RestrictionProvider):
    """Numbers of spans."""

    def initial_restriction(self, element: tuple[Span, ...]) -> OffsetRange:
        return OffsetRange(0, len(element))

    def create_tracker(self, restriction: OffsetRange) -> OffsetRestrictionTracker:
        return OffsetRestrictionTracker(restriction)

    def restriction_size(self, element: tuple[Span, ...], restriction: OffsetRange) -> int:
        del element  # each span is about as large
        return restriction.size()


_POSITION = beam.DoFn.RestrictionParam(_Position())


class ReadSpans(beam.DoFn):
    """Spans to their messages, one span after the other: between them a runner may stop."""

    def process(
        self,
        element: tuple[Span, ...],
        tracker: OffsetRestrictionTracker = _POSITION,
    ) -> Iterator[TimestampedValue]:
        """Read the spans that are claimed."""
        position = tracker.current_restriction().start
        while tracker.try_claim(position):
            span = element[position]
            for batch in merged(span, map(read_archive_file, span.paths)):
                MESSAGES_READ.inc(len(batch))
                yield TimestampedValue(batch, earliest_publish_time(batch))
            position += 1


def _micros(time: dt.datetime | None) -> int | None:
    if time is None:
        return None
    since = time - dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)
    return since // dt.timedelta(microseconds=1)
