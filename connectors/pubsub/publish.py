"""``Publisher``: batches to a topic, in requests as large as the service allows."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from connectors import retry
from connectors.clients import RawStub, open_channel, pubsub_endpoint
from connectors.pubsub import admin, names, outgoing, wire
from connectors.pubsub.outgoing import Chain, Reason, Rows
from transforms import metrics
from transforms.batch import Batch
from transforms.errors import DataError
from transforms.failure import failures
from transforms.message import MESSAGE, MESSAGE_SCHEMA

__all__ = ["Published", "Publisher"]

SERVICE = "google.pubsub.v1.Publisher"

REQUESTS_MAX = 8
"""Requests under way at once; with 10 MB each also the bound of memory."""
CALL_S = 60.0
OUTAGE = retry.Backoff(patience_s=60.0)

REFUSED = "refused_by_pubsub"
"""Error kind of a message that is within the limits but that the service does not take."""


class Published(NamedTuple):
    """Every row of a batch: accepted by the topic, or dead with the reason."""

    ok: Batch
    dead: Batch


class Publisher:
    """Publishes batches to one topic. A context manager; usable from one thread at a time.

    Guarantees:
        Delivery: at least once; after an error that leaves the outcome open, a request is sent
        again.
        Order: of the messages of one ordering key, if the topic's subscriptions ask for it.

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
        endpoint = pubsub_endpoint()
        self._topic = topic
        self._step = step
        self._outage = outage
        self._subject = admin.topic_subject(topic, endpoint)
        self._channel = open_channel(endpoint)
        self._stub = RawStub(self._channel, SERVICE, ("topic", topic))
        self._threads = ThreadPoolExecutor(REQUESTS_MAX, "publish")

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
        """Publish ``messages``; return the ``rows`` that they stand for, row for row.

        A dead letter holds the message that its row came from. A row that came from none, such as
        an aggregate, is represented by the message that was to be published.
        """
        refused = outgoing.broken_limits(messages)
        fit = np.setdiff1d(np.arange(len(messages)), list(refused)).astype(np.int64)
        for found in self._send_all(messages.select(wire.OUTGOING), fit):
            refused.update(found)
        metrics.MESSAGES_PUBLISHED.inc(len(rows) - len(refused))
        guilty = sorted(refused)
        mask = np.ones(len(rows), np.bool_)
        mask[guilty] = False
        origins = (rows if _carries_messages(rows) else messages).take(pa.array(guilty, pa.int64()))
        dead = failures(origins, self._step, [refused[row] for row in guilty])
        return Published(rows.filter(pa.array(mask)) if guilty else rows, dead)

    def close(self) -> None:
        """Close the connection."""
        self._threads.shutdown(cancel_futures=True)
        self._channel.close()

    def _send_all(self, messages: Batch, fit: Rows) -> Iterable[dict[int, Reason]]:
        chains = outgoing.plan_requests(messages, fit)
        sent = [self._threads.submit(self._send_chain, messages, chain) for chain in chains]
        try:
            return [future.result() for future in sent]
        finally:
            _settle(sent)

    def _send_chain(self, messages: Batch, chain: Chain) -> dict[int, Reason]:
        refused: dict[int, Reason] = {}
        for rows in chain:
            refused |= self._send(messages, rows)
        return refused

    def _send(self, messages: Batch, rows: Rows) -> dict[int, Reason]:
        """Send one request; if it is refused, find the guilty messages by halves."""
        request = wire.publish_request(self._topic, messages.take(pa.array(rows)))
        try:
            retry.call(
                lambda: self._stub.call("Publish", request, CALL_S), self._subject, self._outage
            )
        except DataError as error:
            if len(rows) == 1:
                return {int(rows[0]): (REFUSED, str(error))}
            half = len(rows) // 2
            return self._send(messages, rows[:half]) | self._send(messages, rows[half:])
        return {}

    def __enter__(self) -> Publisher:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _settle(sent: list[Future[dict[int, Reason]]]) -> None:
    """Wait until no request is under way: after an error the caller may publish again."""
    for future in sent:
        if not future.cancel():
            future.exception()


def _carries_messages(rows: Batch) -> bool:
    columns = set(rows.schema.names)
    return MESSAGE in columns or columns.issuperset(MESSAGE_SCHEMA.names)
