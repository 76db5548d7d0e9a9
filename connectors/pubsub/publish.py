"""``Publisher`` and ``Publishers``: batches to topics, in requests as large as it is allowed."""

from __future__ import annotations

from collections import OrderedDict
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from connectors import retry
from connectors.clients import open_channel, pubsub_endpoint
from connectors.pubsub import names, outgoing, wire
from connectors.pubsub.outgoing import Reason
from connectors.pubsub.outlet import Missing, Outlet
from connectors.pubsub.routes import Destination, destinations
from transforms import metrics
from transforms.batch import Batch
from transforms.failure import failures
from transforms.message import MESSAGE, MESSAGE_SCHEMA

__all__ = ["Published", "Publisher", "Publishers"]

REQUESTS_MAX = 8
"""Requests under way at once; with 10 MB each also the bound of memory."""
TOPICS_MAX = 1_000
"""Topics that are kept open; the one that was not used for the longest time is closed first."""
OUTAGE = retry.Backoff(patience_s=60.0)


class Published(NamedTuple):
    """Every row of a batch: accepted by its topic, or dead with the reason."""

    ok: Batch
    dead: Batch


class Publishers:
    """Publishes batches to many topics. A context manager; usable from one thread at a time.

    Guarantees:
        Delivery: at least once; after an error that leaves the outcome open, a request is sent
        again.
        Order: of the messages of one ordering key and topic, if the topic's subscriptions ask for
        it. One that is refused does not hold up those behind it.
        Memory: that of ``REQUESTS_MAX`` requests; a call ends when all of its rows are settled,
        so that whoever publishes goes no faster than the service takes.

    Args:
        step: name of the step in dead letters.
        missing: what to do with rows whose topic does not exist.
        outage: how long transient errors of one request are retried.
        topics_max: topics that are kept open, on one connection.
        published: the metric that counts what topics accept.

    Raises:
        ConfigError: there are no credentials.
    """

    def __init__(
        self,
        *,
        step: str = "pubsub.Write",
        missing: Missing = Missing.STOP,
        outage: retry.Backoff = OUTAGE,
        topics_max: int = TOPICS_MAX,
        published: metrics.Counter = metrics.MESSAGES_PUBLISHED,
    ) -> None:
        self._step = step
        self._missing = missing
        self._outage = outage
        self._topics_max = topics_max
        self._published = published
        self._endpoint = pubsub_endpoint()
        self._channel = open_channel(self._endpoint)
        self._outlets: OrderedDict[str, Outlet] = OrderedDict()
        self._threads = ThreadPoolExecutor(REQUESTS_MAX, "publish")

    def publish_as(self, rows: Batch, messages: Batch, topics: pa.Array) -> Published:
        """Publish ``messages``; return the ``rows`` that they stand for, row for row.

        A dead letter holds the message that its row came from. A row that came from none, such as
        an aggregate, is represented by the message that was to be published.

        Args:
            rows: what is returned.
            messages: a batch with ``MESSAGE_SCHEMA``, such as ``as_messages`` makes; message id,
                publish time and delivery attempt are not sent.
            topics: full name of the topic of each row; one that is null or against the rules of
                names makes the row a dead letter.

        Raises:
            ConfigError: a topic is missing and ``missing`` says stop, or access is denied.
            TransientError: the service did not take a request in time. Others may be published.
        """
        found = destinations(topics)
        refused = {**outgoing.broken_limits(messages), **found.refused}
        columns = messages.select(wire.OUTGOING)
        guilty = np.array(sorted(refused), np.int64)
        fit = [Destination(topic, np.setdiff1d(mine, guilty)) for topic, mine in found.topics]
        for answer in self._send_all(columns, fit):
            refused.update(answer)
        self._published.inc(len(rows) - len(refused))
        return _outcome(rows, messages, refused, self._step)

    def close(self) -> None:
        """Close the connection."""
        self._threads.shutdown(cancel_futures=True)
        self._channel.close()

    def _send_all(self, messages: Batch, to: list[Destination]) -> list[dict[int, Reason]]:
        sent = [
            self._threads.submit(outlet.send, messages, chain)
            for outlet, rows in ((self._outlet(topic), rows) for topic, rows in to)
            for chain in outgoing.plan_requests(messages, rows)
        ]
        try:
            return [future.result() for future in sent]
        finally:
            _settle(sent)

    def _outlet(self, topic: str) -> Outlet:
        if topic not in self._outlets:
            self._outlets[topic] = Outlet(
                topic, self._channel, self._endpoint, outage=self._outage, missing=self._missing
            )
        self._outlets.move_to_end(topic)
        while len(self._outlets) > self._topics_max:
            self._outlets.popitem(last=False)
        return self._outlets[topic]

    def __enter__(self) -> Publishers:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class Publisher:
    """Publishes batches to one topic, as ``Publishers`` does. A context manager.

    Args:
        topic: ``projects/P/topics/T``.
        step: name of the step in dead letters.
        outage: how long transient errors of one request are retried.

    Raises:
        ConfigError: the name is against the rules, or there are no credentials.
    """

    def __init__(
        self, topic: str, *, step: str = "pubsub.Write", outage: retry.Backoff = OUTAGE
    ) -> None:
        names.check_topic("topic", topic)
        self._topic = topic
        self._publishers = Publishers(step=step, outage=outage, topics_max=1)

    def publish(self, messages: Batch) -> Published:
        """Publish all rows and wait until each is accepted or refused.

        Args:
            messages: a batch with ``MESSAGE_SCHEMA``, such as ``as_messages`` makes; message id,
                publish time and delivery attempt are not sent.

        Raises:
            ConfigError: there is no such topic, or access is denied.
            TransientError: the service did not take a request in time. Others may be published.
        """
        return self.publish_as(messages, messages)

    def publish_as(self, rows: Batch, messages: Batch) -> Published:
        """Publish ``messages``; return the ``rows`` that they stand for, row for row."""
        return self._publishers.publish_as(rows, messages, pa.repeat(self._topic, len(rows)))

    def close(self) -> None:
        """Close the connection."""
        self._publishers.close()

    def __enter__(self) -> Publisher:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _outcome(rows: Batch, messages: Batch, refused: dict[int, Reason], step: str) -> Published:
    guilty = sorted(refused)
    mask = np.ones(len(rows), np.bool_)
    mask[guilty] = False
    origins = (rows if _carries_messages(rows) else messages).take(pa.array(guilty, pa.int64()))
    dead = failures(origins, step, [refused[row] for row in guilty])
    return Published(rows.filter(pa.array(mask)) if guilty else rows, dead)


def _settle(sent: list[Future[dict[int, Reason]]]) -> None:
    """Wait until no request is under way: after an error the caller may publish again."""
    for future in sent:
        if not future.cancel():
            future.exception()


def _carries_messages(rows: Batch) -> bool:
    columns = set(rows.schema.names)
    return MESSAGE in columns or columns.issuperset(MESSAGE_SCHEMA.names)
