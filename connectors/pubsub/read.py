"""``pubsub.Read``: a subscription as batches of messages."""

from __future__ import annotations

import contextlib
import logging
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass

import apache_beam as beam
from apache_beam.runners.dataflow.dataflow_runner import DataflowRunner
from apache_beam.transforms.window import TimestampedValue

from connectors import retry
from connectors.pubsub import admin, names
from connectors.pubsub.dataflow import BatchMessages, native_read
from connectors.pubsub.drain import Drain, Stop
from connectors.pubsub.session import open_subscription, subscribe
from connectors.pubsub.source import PubsubSource
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

    Exactly one of the two is given. For a topic a temporary subscription is made, and deleted
    after the run: it sees only what is published from its creation on. A process that is killed
    leaves it behind; Google's service deletes it after a month without use.

    On Dataflow this is the service's own read. Elsewhere it needs a bounded ``Run``: it reads until
    nothing is left or a limit is reached, and the run acknowledges when it has committed.

    Our broker says when nothing is left. Any other server does not, so that the read ends when
    nothing has arrived for the subscription's ack deadline and two seconds more.

    Guarantees:
        Delivery: at least once; in a run each message once, and none that an earlier run has
        committed. Nothing is acknowledged before the results are safe.
        Order: none, also within an ordering key.
        Time: a batch has the earliest publish time of its messages.
        State: in a run about 50 bytes of memory per message, beside its id. In a lake with
        commits 40 more, and 40 for each message that they cover.

    Args:
        subscription: ``projects/P/subscriptions/S``.
        topic: ``projects/P/topics/T``.

    Raises:
        ConfigError: none or both are given, a name is against the rules, there is neither
            Dataflow nor a run, or (in a run) nothing of that name exists.
        TransientError: in a run, nobody answers.
    """

    subscription: str | None = None
    topic: str | None = None

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
            messages = begin | "Messages" >> native_read(self.subscription, self.topic)
            return messages | "Batch" >> beam.ParDo(BatchMessages()).with_output_types(Batch)
        run = self._run(begin.pipeline)
        admin.check_exists(subscription=self.subscription, topic=self.topic)
        reader = DrainSubscription(run.id, self.subscription, self.topic)
        return begin | beam.Impulse() | "Drain" >> beam.ParDo(reader).with_output_types(Batch)

    def _run(self, pipeline: beam.Pipeline) -> Run:
        run = Run.of(pipeline)
        if run is None:
            raise ConfigError(
                "runner", type(pipeline.runner).__name__,
                "pubsub.Read works on Dataflow or inside a bounded run of this process",
                "Use --runner=DataflowRunner, or start the pipeline inside connectors.run.Run",
            )  # fmt: skip
        limits = run.limits
        if self.topic is not None and limits.max_messages is None and limits.max_seconds is None:
            raise ConfigError(
                "topic", self.topic, "has no backlog to drain, so that a bounded run needs a limit",
                "Give max_seconds or max_messages, or read a subscription",
            )  # fmt: skip
        return run


class DrainSubscription(beam.DoFn):
    """Impulse to batches: drains a subscription for the run, within the run's limits.

    Args:
        run_id: a run that is open in this process.
        subscription: full name, or None.
        topic: full name, or None: then a temporary subscription is made.
        outage: how long an outage of the server is sat out.
    """

    def __init__(
        self,
        run_id: str,
        subscription: str | None,
        topic: str | None,
        outage: retry.Backoff = OUTAGE,
    ) -> None:
        super().__init__()
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
            yield from _drain(source, drain)
        finally:
            source.pause()

    def _open(self, run: Run) -> PubsubSource:
        with contextlib.ExitStack() as closing:
            name = self._subscription or subscribe(str(self._topic), closing)
            source = open_subscription(name, run.committed_messages(name), self._outage, closing)
            source.owns(closing.pop_all())
            return source


def _drain(source: PubsubSource, drain: Drain) -> Iterator[TimestampedValue]:
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
            yield TimestampedValue(fresh, earliest_publish_time(fresh))
    _log.info("%s: %s, %d messages are held", source.name, step.value, source.intake.held)
    if step is Stop.IDLE and drain.held_elsewhere:
        _log.warning(
            "%s: %d messages are held by another reader; whatever it does not acknowledge comes "
            "in a later run", source.name, drain.held_elsewhere,
        )  # fmt: skip
