"""``Stream``: a subscription without end, as a splittable DoFn that is durable where the runner is.

Each call of ``process`` takes what is there, for a short time, and leaves the rest to the next
call. The runner commits what it made of the messages together with the rest's ``Reading``, and
finalizes the bundle: only then are they acknowledged.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
from apache_beam.io.watermark_estimators import ManualWatermarkEstimator
from apache_beam.transforms.core import RestrictionProvider
from apache_beam.transforms.window import TimestampedValue
from apache_beam.utils.timestamp import MAX_TIMESTAMP, MIN_TIMESTAMP, Duration, Timestamp

from connectors.pubsub import admin, reader
from connectors.pubsub.reader import Emission, Key, Reader
from connectors.pubsub.reading import Claim, Reading, ReadingCoder, ReadingTracker
from connectors.pubsub.session import unsubscribe
from connectors.pubsub.watermark import PublishTime, Watermark
from transforms.batch import Batch
from transforms.message import earliest_publish_time

__all__ = ["ReadStream", "Stream", "Subscribe"]

CALL_S = 0.2
"""A call takes messages for so long, what the steps after it do with them included: the time for
which timers wait, and the age of the oldest message when the runner commits."""
CALL_ROWS_MAX = 65_536
"""Messages of one call: what is done again after a failure, and listed in the ``Reading``."""
CALL_BYTES_MAX = 32 << 20
"""Bytes of them: what a runner may have to hold at once, in a handful of forms."""
NEAR_S = 0.005
"""How long a call waits for more when it has got something: a round trip to a near server."""
IDLE_FIRST_S = 0.005
IDLE_LAST_S = 0.1
"""The pause between calls that find nothing grows from the one to the other. The request that is
open meanwhile is answered by the first message, so that this is how long it may wait here."""
QUIET_S = 0.25
"""The pause when nothing has come for ten seconds. A call costs a runner about 3 ms, whatever it
finds: so it is about one percent of a core."""


class Stream(beam.PTransform):
    """Read a subscription without end.

    Args:
        name: of the subscription, or of the topic of a temporary one.
        temporary: name of the subscription to create for the topic; None reads ``name`` itself.
        watermark: how far event time has come.
    """

    def __init__(self, name: str, temporary: str | None, watermark: Watermark) -> None:
        super().__init__()
        self._name, self._temporary, self._watermark = name, temporary, watermark

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection[Batch]:
        """Name the subscription, then read it."""
        subscribe = beam.ParDo(Subscribe(self._name, self._temporary)).with_output_types(str)
        read = ReadStream(self._watermark, temporary=self._temporary is not None)
        return (
            begin
            | beam.Impulse()
            | "Subscribe" >> subscribe
            | "Stream" >> beam.ParDo(read).with_output_types(Batch)
        )


class Subscribe(beam.DoFn):
    """Impulse to the name of the subscription; a temporary one is created, unless it exists."""

    def __init__(self, name: str, temporary: str | None) -> None:
        super().__init__()
        self._name, self._temporary = name, temporary

    def process(self, element: bytes) -> Iterator[str]:
        """Yield the name."""
        del element  # an impulse carries nothing
        if self._temporary is None:
            yield self._name
        else:
            admin.create_subscription(self._temporary, self._name)
            yield self._temporary


class _Readings(RestrictionProvider):
    """A subscription is one restriction, which is never split."""

    def initial_restriction(self, element: str) -> Reading:
        del element
        return Reading()

    def create_tracker(self, restriction: Reading) -> ReadingTracker:
        return ReadingTracker(restriction)

    def restriction_size(self, element: str, restriction: Reading) -> float:
        del element, restriction
        return 1.0  # what is to come is not known

    def restriction_coder(self) -> beam.coders.Coder:
        return ReadingCoder()

    def truncate(self, element: str, restriction: Reading) -> Reading:
        """Return a last call, which reads nothing."""
        del element
        return Reading(restriction.unsettled, ending=True, steps=restriction.steps)


_READING = beam.DoFn.RestrictionParam(_Readings())
_ESTIMATOR = beam.DoFn.WatermarkEstimatorParam(ManualWatermarkEstimator.default_provider())


@beam.typehints.with_input_types(str)
@beam.typehints.with_output_types(Batch)
class ReadStream(beam.DoFn):
    """Name of a subscription to batches of its messages, without end.

    Guarantees:
        On a runner that commits a bundle's results and its rest together and finalizes after
        that: with our broker each message takes effect once, whatever process dies at whatever
        moment. Any other server may deliver a message again although it has confirmed its
        acknowledgement, and such a one enters again. One whose acknowledgement did not arrive
        is recognised; see ``outstanding`` for how long.
        Order: none.
        Time: a batch has the earliest time of its messages, or that of the watermark if that is
        later: a batch is never late, but the rows in it may be.

    Args:
        watermark: how far event time has come.
        temporary: delete the subscription when the job has drained.
    """

    def __init__(self, watermark: Watermark | None = None, *, temporary: bool = False) -> None:
        super().__init__()
        self._watermark = watermark or PublishTime()
        self._temporary = temporary
        self._step = secrets.token_hex(8)  # the same in all copies of this instance
        self._used: dict[Key, Reader] = {}

    @beam.DoFn.unbounded_per_element()
    def process(
        self,
        element: str,
        finalizer: Any = beam.DoFn.BundleFinalizerParam,  # behind the next it would not work
        tracker: Any = _READING,
        estimator: Any = _ESTIMATOR,
    ) -> Iterator[TimestampedValue]:
        """Yield what is there; the rest is the next call's."""
        reading = tracker.current_restriction()
        source = self._acquire(Key(self._step, element))
        call = source.begin(reading)
        if not reading.ending and tracker.try_claim(Claim(call)):
            yield from _take(source, call, tracker, estimator)
            tracker.defer_remainder(_pause(source))
        if call.owes:
            finalizer.register(call.committed)
        if reading.ending and self._temporary:
            finalizer.register(lambda: unsubscribe(element))

    def teardown(self) -> None:
        """Close what no other instance in this process uses."""
        while self._used:
            reader.give_back(self._used.popitem()[0])

    def _acquire(self, key: Key) -> Reader:
        if key not in self._used:
            self._used[key] = reader.acquire(key, self._watermark)
        return self._used[key]


def _take(
    source: Reader, call: Emission, tracker: Any, estimator: Any
) -> Iterator[TimestampedValue]:
    """Yield new messages until the call is long enough or nothing is there."""
    end_s = time.monotonic() + CALL_S
    rows = size = 0
    while rows < CALL_ROWS_MAX and size < CALL_BYTES_MAX and time.monotonic() < end_s:
        delivery = source.poll(NEAR_S if rows else 0.0)
        if delivery is None:
            break
        if not tracker.try_claim(Claim(call, delivery)):
            source.put_back(delivery)
            break
        rows += len(delivery.messages)
        size += delivery.messages.nbytes
        if call.fresh:
            yield _timed(call.fresh, source, estimator)
        _advance(source, estimator)
        if not len(delivery.messages):
            break
    source.idle_calls = 0 if rows else source.idle_calls + 1


def _pause(source: Reader) -> Duration | None:
    if not source.idle_calls:
        return None
    if source.is_quiet:
        return Duration(micros=round(QUIET_S * 1_000_000))
    seconds = min(IDLE_LAST_S, IDLE_FIRST_S * 2.0 ** (source.idle_calls - 1))
    return Duration(micros=round(seconds * 1_000_000))


def _timed(fresh: Batch, source: Reader, estimator: Any) -> TimestampedValue:
    earliest_us = source.tracker.earliest_us(fresh)
    reached = estimator.current_watermark()
    if earliest_us is None:
        return TimestampedValue(fresh, reached or earliest_publish_time(fresh))
    time_ = max(Timestamp(micros=earliest_us), MIN_TIMESTAMP)
    return TimestampedValue(fresh, time_ if reached is None else max(time_, reached))


def _advance(source: Reader, estimator: Any) -> None:
    found_us = source.tracker.watermark_us()
    if found_us is None:
        return
    found = min(max(Timestamp(micros=found_us), MIN_TIMESTAMP), MAX_TIMESTAMP)
    reached = estimator.current_watermark()
    if reached is None or found > reached:
        estimator.set_watermark(found)
