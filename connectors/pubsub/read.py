"""``pubsub.Read``: a subscription as batches of messages."""

from __future__ import annotations

import contextlib
import logging
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import apache_beam as beam
from apache_beam.runners.dataflow.dataflow_runner import DataflowRunner
from apache_beam.runners.direct.direct_runner import BundleBasedDirectRunner, DirectRunner
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.transforms.window import TimestampedValue
from apache_beam.utils.timestamp import Timestamp

from connectors import retry
from connectors.job import launch_id
from connectors.pubsub import admin, names
from connectors.pubsub.dataflow import BatchMessages, native_read
from connectors.pubsub.drain import Drain, Stop
from connectors.pubsub.session import open_subscription, subscribe
from connectors.pubsub.source import PubsubSource
from connectors.pubsub.stream import Stream
from connectors.pubsub.watermark import EventTime, PublishTime, Tracker, Watermark
from connectors.run import Run
from transforms import metrics
from transforms.batch import Batch
from transforms.errors import ConfigError
from transforms.message import earliest_publish_time

__all__ = ["DrainSubscription", "Read"]

_log = logging.getLogger(__name__)

OUTAGE = retry.Backoff(patience_s=60.0)
"""A server that was reached once may be away for a minute before the read fails."""
IDLE_MARGIN_S = 2.0
"""Beyond the ack deadline, for what its messages take to come back."""


@dataclass(eq=False)
class Read(beam.PTransform):
    """Read a subscription, or a topic from now on, as batches with ``MESSAGE_SCHEMA``.

    Exactly one of the two is given. For a topic a temporary subscription is made: it sees only
    what is published from its creation on. It is deleted after a run, or when a job without end
    has drained. A run that is killed leaves it behind, and so does a job that is not started
    again; Google's service deletes it after a month without use.

    On Dataflow this is the service's own read. In a bounded ``Run`` it reads until nothing is left
    or a limit is reached, and the run acknowledges when it has committed. On any other runner that
    executes splittable DoFns without end, such as the local runner, it goes on and on, and
    acknowledges what the runner has committed; see ``ReadStream``.

    Our broker says when nothing is left. Any other server does not, so that a run's read ends when
    nothing has arrived for the subscription's ack deadline and two seconds more.

    Guarantees:
        Delivery: at least once; in a run each message once, and none that an earlier run has
        committed. On a durable runner each message of our broker takes effect once. Nothing is
        acknowledged before the results are safe.
        Order: none, also within an ordering key.
        Time: a batch has the earliest publish time of its messages; with ``EventTime`` the
        earliest event time, of the payloads that were looked at. On Dataflow only an attribute
        can be followed; else the service goes by the publish time.
        State: in a run about 50 bytes of memory per message, beside its id. In a lake with
        commits 40 more, and 40 for each message that they cover. Without end, as much for the
        messages of the last bundles, 65,536 each at most.

    Args:
        subscription: ``projects/P/subscriptions/S``.
        topic: ``projects/P/topics/T``.
        watermark: how far event time has come: ``PublishTime()``, or ``EventTime(...)`` for a time
            within the messages. A read that ends does not need it.

    Raises:
        ConfigError: none or both are given, a name is against the rules, the runner can't read
            without end and there is no run, or (but on Dataflow) nothing of that name exists.
        TransientError: nobody answers.
    """

    subscription: str | None = None
    topic: str | None = None
    watermark: Watermark = field(default_factory=PublishTime)

    def __post_init__(self) -> None:
        super().__init__()
        if (self.subscription is None) == (self.topic is None):
            raise ConfigError(
                "subscription", self.subscription,
                f"exactly one of subscription and topic must be given, and topic={self.topic!r}",
                "Give the one to read from",
            )  # fmt: skip
        if self.subscription is not None:
            names.check_subscription("subscription", self.subscription)
        if self.topic is not None:
            names.check_topic("topic", self.topic)

    def expand(self, begin: beam.pvalue.PBegin) -> beam.PCollection:
        """Choose by runner; see the class."""
        if isinstance(begin.pipeline.runner, DataflowRunner):
            return self._native(begin)
        run = Run.of(begin.pipeline)
        if run is None:
            _refuse_bounded(begin.pipeline.runner)
        else:
            self._refuse_endless_topic(run)
        admin.check_exists(subscription=self.subscription, topic=self.topic)
        if run is None:
            return begin | "Stream" >> self._stream(begin.pipeline)
        reader = DrainSubscription(run.id, self.subscription, self.topic, self.watermark)
        return begin | beam.Impulse() | "Drain" >> beam.ParDo(reader).with_output_types(Batch)

    def _native(self, begin: beam.pvalue.PBegin) -> beam.PCollection:
        attribute = self.watermark.attribute if isinstance(self.watermark, EventTime) else None
        read = native_read(self.subscription, self.topic, attribute)
        batch = beam.ParDo(BatchMessages()).with_output_types(Batch)
        return begin | "Messages" >> read | "Batch" >> batch

    def _stream(self, pipeline: beam.Pipeline) -> Stream:
        if self.topic is None:
            return Stream(str(self.subscription), None, self.watermark)
        step = getattr(pipeline._current_transform(), "full_label", "")
        temporary = names.job_subscription(self.topic, launch_id(pipeline), step)
        return Stream(self.topic, temporary, self.watermark)

    def _refuse_endless_topic(self, run: Run) -> None:
        limits = run.limits
        if self.topic is not None and limits.max_messages is None and limits.max_seconds is None:
            raise ConfigError(
                "topic", self.topic, "has no backlog to drain, so that a bounded run needs a limit",
                "Give max_seconds= or max_messages=, or read a subscription",
            )  # fmt: skip


def _refuse_bounded(runner: beam.runners.PipelineRunner) -> None:
    """Refuse Beam's runners for bounded work: one that is made of them is another type."""
    if type(runner) in (FnApiRunner, DirectRunner, BundleBasedDirectRunner):
        raise ConfigError(
            "runner", type(runner).__name__,
            "can't read without end: it needs a bounded run of this process",
            "Use --runner=local or --runner=DataflowRunner, or start the pipeline inside "
            "connectors.run.Run",
        )  # fmt: skip


class DrainSubscription(beam.DoFn):
    """Impulse to batches: drains a subscription for the run, within the run's limits.

    Args:
        run_id: a run that is open in this process.
        subscription: full name, or None.
        topic: full name, or None: then a temporary subscription is made.
        watermark: tells the time of a batch.
        outage: how long an outage of the server is sat out.
    """

    def __init__(
        self,
        run_id: str,
        subscription: str | None,
        topic: str | None,
        watermark: Watermark | None = None,
        outage: retry.Backoff = OUTAGE,
    ) -> None:
        super().__init__()
        self._watermark = watermark or PublishTime()
        self._run_id = run_id
        self._subscription = subscription
        self._topic = topic
        self._outage = outage

    def process(self, element: bytes) -> Iterator[TimestampedValue]:
        """Yield batches until the read ends."""
        del element  # an impulse carries nothing
        run = Run.by_id(self._run_id)
        source = self._open(run)
        run.add_source(source)
        drain = Drain(
            time.monotonic(),
            idle_s=source.ack_deadline_s + IDLE_MARGIN_S if self._topic is None else math.inf,
            max_messages=run.limits.max_messages,
            max_seconds=run.limits.max_seconds,
        )
        try:
            yield from _drain(source, drain, self._watermark.tracker())
        finally:
            source.pause()

    def _open(self, run: Run) -> PubsubSource:
        with contextlib.ExitStack() as closing:
            name = self._subscription or subscribe(str(self._topic), closing)
            source = open_subscription(name, run.committed_messages(name), self._outage, closing)
            source.owns(closing.pop_all())
            return source


def _drain(source: PubsubSource, drain: Drain, times: Tracker) -> Iterator[TimestampedValue]:
    while not isinstance(step := drain.next(time.monotonic()), Stop):
        delivery = source.pull(step.messages_max, step.wait_s)
        fresh = source.intake.admit(delivery.messages)
        drain.pulled(
            time.monotonic(),
            delivered=len(delivery.messages),
            new=len(fresh),
            held=source.intake.held,
            unacknowledged=delivery.unacknowledged,
        )
        if delivery.backlog is not None:
            metrics.BACKLOG.set(delivery.backlog)
        if len(fresh):
            yield TimestampedValue(fresh, _time(fresh, times))
    _log.info("%s: %s, %d messages are held", source.name, step.value, source.intake.held)
    if step is Stop.IDLE and drain.held_elsewhere:
        _log.warning(
            "%s: %d messages are held by another reader; whatever it does not acknowledge comes "
            "in a later run", source.name, drain.held_elsewhere,
        )  # fmt: skip


def _time(fresh: Batch, times: Tracker) -> Timestamp:
    earliest_us = times.earliest_us(fresh)
    if earliest_us is None:
        return earliest_publish_time(fresh)
    return Timestamp(micros=earliest_us)
