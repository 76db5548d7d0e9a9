"""Event-time windows for batches: every batch is cut so that all of its rows share their windows.

Then Beam's lateness rule, which looks at the window of an element, treats a batch exactly as it
would treat each of its rows.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from apache_beam.transforms.core import Windowing as BeamWindowing
from apache_beam.transforms.trigger import AccumulationMode, TriggerFn
from apache_beam.transforms.window import FixedWindows, SlidingWindows, TimestampedValue, WindowFn
from apache_beam.utils.timestamp import Duration, Timestamp

from transforms.batch import Batch
from transforms.duration import parse_duration, whole_millis
from transforms.errors import ConfigError
from transforms.event_time import Micros, event_times, reject
from transforms.field import Field
from transforms.metrics import DEAD_LETTERS
from transforms.sessions import Session, into_sessions
from transforms.split import Part, split_by
from transforms.triggers import at_watermark

__all__ = [
    "Fixed",
    "Session",
    "Sliding",
    "Windowed",
    "Windowing",
    "Windows",
    "parse_windows",
    "split",
]


def _micros(seconds: float, least_ms: int = 1) -> int:
    return whole_millis("windows", seconds, least_ms) * 1_000


@dataclasses.dataclass(frozen=True)
class Fixed:
    """Windows ``[n * size + offset, (n + 1) * size + offset)``, counted from 1970, UTC.

    Args:
        size_s: seconds; whole milliseconds, as the offset.
        offset_s: shifts all edges; not negative, less than the size.
    """

    size_s: float
    offset_s: float = 0.0

    def __post_init__(self) -> None:
        _check_offset(self.offset_s, self.size_s)

    def segments(self, times: Micros) -> npt.NDArray[np.int64]:
        """Return the number of each time's window."""
        return (times - _micros(self.offset_s, 0)) // _micros(self.size_s)

    def window_fn(self) -> WindowFn:
        """Return the window function for Beam."""
        size, offset = _micros(self.size_s), _micros(self.offset_s, 0)
        return FixedWindows(Duration(micros=size), Timestamp(micros=offset))


@dataclasses.dataclass(frozen=True)
class Sliding:
    """Windows ``[n * period + offset, n * period + offset + size)``; each row is in several.

    Args:
        size_s: seconds; whole milliseconds, as the other two.
        period_s: time from the start of one window to the next; at most the size, for rows
            between two windows would be lost.
        offset_s: shifts all edges; not negative, less than the period.
    """

    size_s: float
    period_s: float
    offset_s: float = 0.0

    def __post_init__(self) -> None:
        _check_offset(self.offset_s, self.period_s)
        if _micros(self.size_s) < _micros(self.period_s):
            raise ConfigError(
                "windows", self.period_s, f"exceeds the size {self.size_s}: rows would be lost",
                "Choose a period of at most the size",
            )  # fmt: skip

    def segments(self, times: Micros) -> npt.NDArray[np.int64]:
        """Return a number for each time; equal ones are in the same set of windows.

        The set changes where a window starts and where one ends. Both counts grow with time, so
        that their sum tells both.
        """
        since = times - _micros(self.offset_s, 0)
        size, period = _micros(self.size_s), _micros(self.period_s)
        return since // period + (since - size) // period

    def window_fn(self) -> WindowFn:
        """Return the window function for Beam."""
        size, period = _micros(self.size_s), _micros(self.period_s)
        offset = Timestamp(micros=_micros(self.offset_s, 0))
        return SlidingWindows(Duration(micros=size), Duration(micros=period), offset)


Windows = Fixed | Sliding | Session


def _check_offset(offset_s: float, period_s: float) -> None:
    if _micros(offset_s, 0) >= _micros(period_s):
        raise ConfigError(
            "windows", offset_s, f"must be an offset from 0 to less than {period_s}",
            "Subtract whole periods",
        )  # fmt: skip


def parse_windows(text: str) -> Windows:
    """Read ``1m`` or ``fixed:1m``, ``sliding:SIZE/PERIOD``, ``session:GAP[/FIELD,FIELD...]``.

    Raises:
        ConfigError: the text describes no windows.
    """
    kind, colon, rest = text.partition(":")
    if not colon:
        kind, rest = "fixed", text
    first, slash, second = rest.partition("/")
    if kind == "fixed" and not slash:
        return Fixed(_length(first))
    if kind == "sliding" and slash:
        return Sliding(_length(first), _length(second))
    if kind == "session":
        names = second.split(",") if slash else []
        return Session(_length(first), tuple(map(Field.parse, names)))
    raise ConfigError(
        "windows", text, "must be SIZE, sliding:SIZE/PERIOD or session:GAP/FIELD,...",
        "Write for example 1m, sliding:10m/1m or session:30s/user_id",
    )  # fmt: skip


def _length(text: str) -> float:
    return parse_duration(text, "windows", least_ms=1)


def split(windows: Windows, batch: Batch, times: Micros) -> Iterator[Part]:
    """Yield the parts of a batch whose rows share their windows, with their earliest times.

    A batch that lies in one window is passed on as it is.
    """
    if not len(batch):
        return
    if isinstance(windows, Session):
        yield from windows.split(batch, times)
        return
    first = times.min()
    ends = windows.segments(np.array([first, times.max()]))
    if ends[0] == ends[1]:
        yield batch, int(first)
    else:
        yield from split_by(batch, times, windows.segments(times))


class Windowed(NamedTuple):
    """What ``Windowing`` returns."""

    ok: beam.PCollection[Batch]
    dead: beam.PCollection[Batch]


@dataclasses.dataclass(eq=False)
class Windowing(beam.PTransform):
    """Put each row into its windows by event time.

    All rows of a batch that comes out are in the same windows. Its element timestamp is the
    earliest event time of its rows: Beam decides lateness by window alone, and where a pipeline
    asks for the earliest output time (``TimestampCombiner.OUTPUT_AT_EARLIEST``) the watermark is
    held exactly as by single rows. Rows without a usable event time go to ``dead`` as
    ``bad_event_time``, in the window that they came in; where the message was projected away,
    the row as JSON takes its place.

    Guarantees:
        Each row is in ``ok`` or in ``dead``; in each of its windows once. Rows of one window
        keep their order within a batch.
        Late rows are kept, each batch of them as an extra pane, while the watermark is no more
        than ``allowed_lateness_s`` past the end of the window; Beam drops later ones.

    Args:
        windows: fixed, sliding or session windows.
        event_time: where the event time is found.
        allowed_lateness_s: seconds for which a window takes late rows after its end. The
            default is a day: an outage of a night loses nothing. Runners keep a small record of
            each window for as long.
        trigger: when a window emits, from ``transforms.triggers``. Panes are discarding.
        drop: columns that ``ok`` leaves out and ``dead`` still has, such as ``_message``. To cut
            a batch copies its rows, and what no later step needs can be spared that.
        step: the name that failures carry.
    """

    windows: Windows
    event_time: Field
    allowed_lateness_s: float = 86_400.0
    trigger: TriggerFn = dataclasses.field(default_factory=at_watermark)
    drop: Sequence[str] = ()
    step: str = "Windowing"

    def __post_init__(self) -> None:
        super().__init__()
        self._lateness_ms = whole_millis("allowed_lateness_s", self.allowed_lateness_s, least=0)

    def expand(self, batches: beam.PCollection[Batch]) -> Windowed:
        """Split, then assign windows."""
        early = () if isinstance(self.windows, Session) else tuple(self.drop)
        split = _Split(self.windows, self.event_time, early, self.step)
        parts = batches | "Split" >> beam.ParDo(split).with_outputs(_DEAD, main="ok")
        return Windowed(parts["ok"] | "Assign" >> self._assign(), parts[_DEAD])

    def _assign(self) -> beam.PTransform:
        windowing = BeamWindowing(
            self.windows.window_fn(),
            self.trigger,
            AccumulationMode.DISCARDING,
            allowed_lateness=Duration(micros=self._lateness_ms * 1_000),
        )
        if isinstance(self.windows, Session):
            # Their key and time may lie in the columns to drop, and are needed until now.
            sessions = into_sessions(self.event_time, windowing).with_output_types(Batch)
            return sessions | beam.Map(Batch.drop, self.drop).with_output_types(Batch)
        return beam.WindowInto(windowing, allowed_lateness=windowing.allowed_lateness)


_DEAD = "dead"


@beam.typehints.with_output_types(Batch, dead=Batch)
class _Split(beam.DoFn):
    def __init__(self, windows: Windows, event_time: Field, drop: Sequence[str], step: str) -> None:
        self._windows, self._event_time, self._step = windows, event_time, step
        self._drop = drop

    def process(self, element: Batch) -> Iterator[object]:
        times, usable = event_times(self._event_time, element)
        if usable is not None:
            dead = reject(self._event_time, element.filter(pa.array(~usable)), self._step)
            DEAD_LETTERS.inc(len(dead))
            yield beam.pvalue.TaggedOutput(_DEAD, dead)
            element, times = element.filter(pa.array(usable)), times[usable]
        for part, first in split(self._windows, element.drop(self._drop), times):
            yield TimestampedValue(part, Timestamp(micros=first))
