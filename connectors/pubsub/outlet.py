"""``Outlet``: requests of one topic, sent one by one; what is refused is told by row."""

from __future__ import annotations

import enum

import grpc
import pyarrow as pa

from connectors import retry
from connectors.clients import Endpoint, RawStub
from connectors.pubsub import admin, wire
from connectors.pubsub.outgoing import Chain, Reason, Rows
from transforms.batch import Batch
from transforms.errors import ConfigError, DataError

__all__ = ["Missing", "Outlet"]

CALL_S = 60.0

REFUSED = "refused_by_pubsub"
"""Error kind of a message that is within the limits but that the service does not take."""
TOPIC_MISSING = "topic_missing"
"""Error kind of a message whose topic does not exist."""


class Missing(enum.Enum):
    """What becomes of rows whose topic does not exist."""

    STOP = "stop"
    """The pipeline stops with an error that says how to create it."""
    DEAD = "dead"
    """They are dead letters, and other rows go on."""


class Outlet:
    """Publishes to one topic over a shared channel. Usable from many threads.

    Args:
        topic: full name.
        channel: open to the endpoint.
        endpoint: for the text of errors.
        outage: how long transient errors of one request are retried.
        missing: what to do when there is no such topic.
    """

    def __init__(
        self,
        topic: str,
        channel: grpc.Channel,
        endpoint: Endpoint,
        *,
        outage: retry.Backoff,
        missing: Missing,
    ) -> None:
        self._topic = topic
        self._outage = outage
        self._missing = missing
        self._subject = admin.topic_subject(topic, endpoint)
        self._stub = RawStub(channel, admin.PUBLISHER, ("topic", topic))

    def send(self, messages: Batch, chain: Chain) -> dict[int, Reason]:
        """Send requests one after the other; return the rows that were refused.

        Args:
            messages: a batch with the columns ``wire.OUTGOING``.
            chain: the rows of each request.

        Raises:
            ConfigError: there is no such topic and ``missing`` says stop, or access is denied.
            TransientError: the service did not take a request in time.
        """
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
        except ConfigError as error:
            is_missing = retry.status(error.__cause__) is grpc.StatusCode.NOT_FOUND
            if self._missing is Missing.STOP or not is_missing:
                raise
            return dict.fromkeys(rows.tolist(), (TOPIC_MISSING, str(error)))
        return {}
