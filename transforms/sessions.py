"""Session windows over batches: the window of a batch spans all of its rows, plus the gap.

Beam's own assignment knows one timestamp per element and would end a session at the batch's
first row plus the gap. Here a step sets the windows of the batch itself, ``[first, last + gap)``,
and declares Beam's standard session windows for what follows. No custom window function reaches
the runner, so that merging works wherever Beam's sessions do.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import apache_beam as beam
import numpy as np
from apache_beam.transforms.core import Windowing as BeamWindowing
from apache_beam.transforms.window import IntervalWindow, Sessions
from apache_beam.utils.timestamp import Duration, Timestamp
from apache_beam.utils.windowed_value import WindowedValue

from transforms.batch import Batch
from transforms.duration import whole_millis
from transforms.event_time import Micros, event_times
from transforms.field import Field
from transforms.groups import group_numbers
from transforms.lookup import look_up
from transforms.rewindow import ParDoInto
from transforms.split import Part, split_by

__all__ = ["AssignSpan", "KeyedSessions", "Session", "into_sessions"]


@dataclasses.dataclass(frozen=True)
class Session:
    """Rows of one key, none of them ``gap_s`` or more after the one before.

    Merging works per Beam key: what groups the batches later must use the key ``by``, as
    ``Aggregate`` does. Every batch after windowing holds one session's rows of one key, so that
    many keys with few rows each cost what Beam costs per element. Sessions begin and end at
    whole milliseconds, the resolution of Beam's runners; event times are rounded down to these.
    Late rows are judged with the rows of their batch that they belong to: kept if the last is.

    Args:
        gap_s: seconds without a row that end a session; whole milliseconds.
        by: the fields that tell keys apart, null being a key too; none for one key in all.
    """

    gap_s: float
    by: tuple[Field, ...] = ()

    def __post_init__(self) -> None:
        whole_millis("windows", self.gap_s)

    def split(self, batch: Batch, times: Micros) -> Iterator[Part]:
        """Yield the rows of each key and session, with their earliest time."""
        keys = group_numbers([look_up("windows", field, batch) for field in self.by], len(batch))
        millis = times // 1_000
        order = np.lexsort((millis, keys))
        gap = whole_millis("windows", self.gap_s)
        begins = (np.diff(keys[order]) != 0) | (np.diff(millis[order]) >= gap)
        session = np.zeros(len(batch), np.int64)
        session[order[1:]] = np.cumsum(begins)
        return split_by(batch, times, session)

    def window_fn(self) -> KeyedSessions:
        """Return the window function for Beam."""
        return KeyedSessions(self)


class KeyedSessions(Sessions):
    """Beam's standard sessions, to any runner; in this process they also tell their key."""

    def __init__(self, windows: Session) -> None:
        super().__init__(Duration(micros=whole_millis("windows", windows.gap_s) * 1_000))
        self.by = windows.by

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sessions) and self.gap_size == other.gap_size

    def __hash__(self) -> int:
        return hash(self.gap_size)


def into_sessions(event_time: Field, windowing: BeamWindowing) -> ParDoInto:
    """Return ``WindowInto`` for batches: each gets the window that spans all of its rows."""
    return ParDoInto(AssignSpan(event_time, windowing.windowfn.gap_size), windowing)


class AssignSpan(beam.DoFn):
    """Set the window of each batch to ``[first, last + gap)`` of its rows."""

    def __init__(self, event_time: Field, gap: Duration) -> None:
        self._event_time, self._gap = event_time, gap

    def process(
        self, element: Batch, timestamp: Timestamp = beam.DoFn.TimestampParam
    ) -> Iterator[WindowedValue]:
        """Yield the batch in its window."""
        times, _ = event_times(self._event_time, element)
        first, last = (
            Timestamp(micros=int(at) // 1_000 * 1_000) for at in (times.min(), times.max())
        )
        yield WindowedValue(element, timestamp, [IntervalWindow(first, last + self._gap)])
