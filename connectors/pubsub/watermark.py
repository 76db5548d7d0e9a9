"""Up to which event time a subscription has been read: estimates only, no clock and no socket.

Batches that are read without end need a watermark, and the right one depends on what event time
is. ``PublishTime`` follows the server. ``EventTime`` follows a time within the messages, such as
the departure of a flight that is reported, or replayed, much later.

Both stand on the *horizon*: no message that is still to come was published before it. Our broker
tells it exactly. For any other server it is estimated, as everyone must: the earliest publish time
among the messages of the last minute, or nearly the present when nothing comes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from transforms.batch import Batch
from transforms.duration import whole_millis
from transforms.errors import ConfigError
from transforms.event_time import Micros, event_times
from transforms.field import Field, Source
from transforms.field import message as message_field
from transforms.message import PUBLISH_TIME
from transforms.parse import Decoder

__all__ = ["EventTime", "PublishTime", "Steps", "Tracker", "Watermark"]

SAMPLE_S = 60
"""A message that was delivered late says that others may be: for so long it is not forgotten."""
IDLE_S = 10
"""A server that had nothing for so long has nothing from before that time either."""
SAMPLE_ROWS = 64
"""Payloads that are decoded of a batch. The latest of a few is never later than that of all, so
that a sample can only make the watermark late, never the rows."""
STEPS_MAX = 64
"""What is remembered of deliveries that don't count yet: they are kept with every bundle."""

_SECOND_US = 1_000_000

Steps: TypeAlias = tuple[tuple[int, int], ...]
"""Latest publish time and latest event time of deliveries, in microseconds since 1970."""


class Tracker(Protocol):
    """The watermark of one reader: what it has seen of the stream."""

    def observe(self, messages: Batch, horizon_us: int | None, now_us: int) -> None:
        """Note a delivery, also one of no messages.

        Args:
            messages: a batch with ``MESSAGE_SCHEMA``.
            horizon_us: what the server tells, None if it does not.
            now_us: the time of day. All in microseconds since 1970.
        """

    def watermark_us(self) -> int | None:
        """Return the watermark; it never goes back. None is none yet."""

    def earliest_us(self, messages: Batch) -> int | None:
        """Return the time of a batch: the earliest of its messages, as far as they have one."""

    def steps(self) -> Steps:
        """Return what has been seen and does not count yet, to be kept with the messages."""

    def resume(self, steps: Steps) -> None:
        """Take what another tracker has seen. What is known already does no harm."""


@dataclass(frozen=True)
class PublishTime:
    """Event time is when a message was published: exact with our broker, else an estimate."""

    def tracker(self) -> Tracker:
        """Return the watermark of a new reader."""
        return _PublishTimes()


@dataclass(frozen=True)
class EventTime:
    """Event time is in the messages: the watermark stays ``disorder_s`` behind the latest.

    A message counts as soon as everything that was published before it was read and acknowledged.
    So it does no harm that messages come in another order than they were published, as they do
    after a crash. An event that lies later than its publishing counts as that: a wrong clock
    does not move the watermark beyond the present.

    Args:
        field: ``attribute:NAME``, ``message:publish_time`` or, with a schema, a column of the
            JSON payload. Messages without a usable time are passed over.
        disorder_s: how much earlier than another an event may be that is published after it.
            Whole milliseconds. Rows that are later than this are late.
        idle_s: when nothing has come for so long, follow the clock, ``disorder_s`` behind it:
            for events that happen now. None stays where it is: for events that are replayed.
        schema: of the payload; the column is a time or RFC 3339 text.
        rows: opens what makes the rows that have the field, where messages as they come don't: of
            a sample of 64 messages of each delivery. A message without a row is passed over.

    Raises:
        ConfigError: the field is a column that the schema lacks, or a time is not usable.
    """

    field: Field
    disorder_s: float
    idle_s: float | None = None
    schema: pa.Schema | None = None
    rows: Callable[[], Callable[[Batch], Batch]] | None = None

    def __post_init__(self) -> None:
        whole_millis("disorder_s", self.disorder_s, least=0)
        if self.idle_s is not None:
            whole_millis("idle_s", self.idle_s, least=0)
        if self.rows is None and self.field.source is Source.COLUMN:
            self._column()

    @property
    def attribute(self) -> str | None:
        """The name of the attribute that holds the time, None if it is elsewhere."""
        return self.field.name if self.field.source is Source.ATTRIBUTE else None

    def tracker(self) -> Tracker:
        """Return the watermark of a new reader."""
        rows: Callable[[Batch], Batch] | None = None
        if self.rows is not None:
            rows = self.rows()
        elif self.field.source is Source.COLUMN:
            rows = _Parsed(self._column())
        idle_us = None if self.idle_s is None else _micros(self.idle_s)
        return _EventTimes(self.field, _micros(self.disorder_s), idle_us, rows)

    def _column(self) -> pa.Schema:
        """Return the one column of the schema that is needed; it may be absent from a payload."""
        names = self.schema.names if self.schema is not None else []
        if self.schema is None or self.field.name not in names:
            raise ConfigError(
                "field", str(self.field), f"names no column of the schema, which has {names}",
                "Give the schema of the payload, or use attribute:NAME",
            )  # fmt: skip
        return pa.schema([self.schema.field(self.field.name).with_nullable(True)])


class _Parsed:
    """Messages to the rows of those that can be parsed."""

    def __init__(self, schema: pa.Schema) -> None:
        self._decoder = Decoder(schema)

    def __call__(self, messages: Batch) -> Batch:
        return self._decoder.decode(messages)[0]


Watermark: TypeAlias = PublishTime | EventTime


class _Horizon:
    """The publish time before which nothing more will come; it never goes back."""

    def __init__(self) -> None:
        self.us: int | None = None
        self._earliest: deque[tuple[int, int]] = deque()  # second of delivery, publish time
        self._started_us: int | None = None
        self._last_us = 0

    def observe(self, messages: Batch, told_us: int | None, now_us: int) -> None:
        """Note a delivery."""
        found_us = self._estimate(messages, now_us) if told_us is None else told_us
        if found_us is not None:
            self.us = found_us if self.us is None else max(self.us, found_us)

    def _estimate(self, messages: Batch, now_us: int) -> int | None:
        if self._started_us is None:
            self._started_us = self._last_us = now_us
        if len(messages):
            self._last_us = now_us
            self._keep(now_us // _SECOND_US, _bounds(_publish_times(messages))[0])
        while self._earliest and self._earliest[0][0] < now_us // _SECOND_US - SAMPLE_S:
            self._earliest.popleft()
        if now_us - self._started_us < IDLE_S * _SECOND_US:
            return None  # what a reader held that died may be older than all seen so far
        if now_us - self._last_us >= IDLE_S * _SECOND_US:
            return now_us - IDLE_S * _SECOND_US
        return min(earliest for _, earliest in self._earliest)

    def _keep(self, second: int, earliest_us: int) -> None:
        if self._earliest and self._earliest[-1][0] == second:
            earliest_us = min(earliest_us, self._earliest.pop()[1])
        self._earliest.append((second, earliest_us))


class _PublishTimes:
    """See ``PublishTime``."""

    def __init__(self) -> None:
        self._horizon = _Horizon()

    def observe(self, messages: Batch, horizon_us: int | None, now_us: int) -> None:
        self._horizon.observe(messages, horizon_us, now_us)

    def watermark_us(self) -> int | None:
        return self._horizon.us

    def earliest_us(self, messages: Batch) -> int | None:
        return _bounds(_publish_times(messages))[0] if len(messages) else None

    def steps(self) -> Steps:
        return ()

    def resume(self, steps: Steps) -> None:
        del steps  # the horizon is known without


class _EventTimes:
    """See ``EventTime``."""

    def __init__(
        self,
        field: Field,
        disorder_us: int,
        idle_us: int | None,
        rows: Callable[[Batch], Batch] | None,
    ) -> None:
        self._field = field
        self._disorder_us = disorder_us
        self._idle_us = idle_us
        self._rows = rows
        self._horizon = _Horizon()
        self._watermark_us: int | None = None
        self._last_us: int | None = None
        self._steps: list[tuple[int, int]] = []  # until the horizon has passed; sorted

    def observe(self, messages: Batch, horizon_us: int | None, now_us: int) -> None:
        self._horizon.observe(messages, horizon_us, now_us)
        if len(messages) or self._last_us is None:
            self._last_us = now_us
        sample = self._sample(messages)
        times = self._times(sample)
        if len(times):
            self.resume(((_bounds(_publish_times(messages))[1], int(times.max())),))
        reached_us = self._horizon.us
        while reached_us is not None and self._steps and self._steps[0][0] < reached_us:
            self._advance(self._steps.pop(0)[1] - self._disorder_us)
        idle = self._idle_us is not None and now_us - self._last_us >= self._idle_us
        if idle and reached_us is not None:
            self._advance(reached_us - self._disorder_us)

    def watermark_us(self) -> int | None:
        return self._watermark_us

    def earliest_us(self, messages: Batch) -> int | None:
        times = self._times(self._sample(messages))
        return int(times.min()) if len(times) else None

    def steps(self) -> Steps:
        return tuple(self._steps)

    def resume(self, steps: Steps) -> None:
        self._steps = sorted({*self._steps, *steps})
        while len(self._steps) > STEPS_MAX:  # the horizon stands still: fewer, larger steps
            one, two = self._steps[-2:]
            self._steps[-2:] = [(two[0], max(one[1], two[1]))]

    def _advance(self, to_us: int) -> None:
        if self._watermark_us is None or to_us > self._watermark_us:
            self._watermark_us = to_us

    def _sample(self, messages: Batch) -> Batch:
        """Return the messages to look at: all, unless each would have to be decoded."""
        if self._rows is None or len(messages) <= SAMPLE_ROWS:
            return messages
        rows = np.linspace(0, len(messages) - 1, SAMPLE_ROWS).astype(np.int64)
        return messages.take(pa.array(rows))

    def _times(self, sample: Batch) -> Micros:
        """Return the usable event times, none later than its publishing."""
        rows = sample if self._rows is None else self._rows(sample)
        if not len(rows):
            return np.empty(0, np.int64)
        times, usable = event_times(self._field, rows)
        capped = np.minimum(times, _publish_times(rows))
        return capped if usable is None else capped[usable]


def _publish_times(rows: Batch) -> Micros:
    """Return when the messages were published; one that does not tell, at the end of time."""
    times = message_field(PUBLISH_TIME).of(rows).cast(pa.int64())
    return pc.fill_null(times, np.iinfo(np.int64).max).to_numpy(zero_copy_only=False)


def _bounds(times: Micros) -> tuple[int, int]:
    return int(times.min()), int(times.max())


def _micros(seconds: float) -> int:
    return round(seconds * 1_000) * 1_000
