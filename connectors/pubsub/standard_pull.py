"""The wire to Google's service, to Google's emulator and to any other server of Pub/Sub.

Several unary Pulls are under way at once, also while a batch is being worked on. Each response
goes from bytes to Arrow as it is.
"""

from __future__ import annotations

import contextlib
import queue
import time
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import grpc
import pyarrow as pa

from connectors.clients import RawStub
from connectors.pubsub import wire
from connectors.pubsub.delivery import NOTHING, Delivery
from transforms.batch import Batch

__all__ = ["StandardPull"]

SERVICE = "google.pubsub.v1.Subscriber"

PULLS_MAX = 4
"""Pulls under way at once."""
PULL_MESSAGES_MAX = 1_000
"""Of one Pull: https://cloud.google.com/pubsub/quotas#resource_limits."""
PULL_S = 30.0
"""A Pull may wait this long for its first message; then it is repeated."""
CALL_S = 30.0
BATCH_ROWS_MIN = 4_096
"""Responses are joined until a batch has so many rows,"""
GATHER_S = 0.05
"""or until so long after the first."""
PAUSE_S = 0.1
"""Between Pulls to a server that answers empty at once."""


class _Asked(NamedTuple):
    number: int
    messages: int


class StandardPull:
    """A subscription by the standard API. A lease is an array of acknowledgement ids.

    Args:
        channel: to the server.
        subscription: full name.
        ack_deadline_s: how long a message is held without extension.
    """

    leases_last = False

    def __init__(self, channel: grpc.Channel, subscription: str, ack_deadline_s: int) -> None:
        self._stub = RawStub(channel, SERVICE, ("subscription", subscription))
        self._subscription = subscription
        self._ack_deadline_s = ack_deadline_s
        self._open: dict[grpc.Future, _Asked] = {}  # in the order of their numbers
        self._asked = 0
        self._answered: queue.SimpleQueue[grpc.Future] = queue.SimpleQueue()

    @property
    def asked(self) -> int:
        """How many Pulls were sent."""
        return self._asked

    @property
    def answered(self) -> int:
        """The Pulls before the oldest one that is under way."""
        return next((asked.number - 1 for asked in self._open.values()), self._asked)

    def pull(self, messages_max: int, wait_s: float) -> Delivery:
        """Return the next messages; see ``Subscription.pull``."""
        return self._pull(messages_max, wait_s, GATHER_S)

    def poll(self, messages_max: int, wait_s: float, open_s: float) -> Delivery | None:
        """Return the next messages if they are here; see ``Subscription.poll``."""
        del open_s  # the server says how long a Pull waits
        return self._pull(messages_max, wait_s, gather_s=wait_s)

    def _pull(self, messages_max: int, wait_s: float, gather_s: float) -> Delivery:
        self._ask(messages_max)
        received: list[wire.Received] = []
        rows = 0
        for response in self._responses(wait_s, gather_s):
            received.append(response)
            rows += len(response.messages)
            if rows >= min(BATCH_ROWS_MIN, messages_max):
                break
            self._ask(messages_max - rows)
        self._ask(messages_max - rows)
        return _join(received)

    def extend(self, leases: Sequence[pa.Array]) -> Sequence[pa.Array]:
        """Hold the leases for another ack deadline; the API does not tell which have expired."""
        self._modify(leases, self._ack_deadline_s)
        return leases

    def acknowledge(self, leases: Sequence[pa.Array]) -> None:
        """Acknowledge all messages of the leases, expired ones included."""
        for ack_ids in leases:  # all ids of a large run together would overflow an Arrow array
            for request in wire.acknowledge_requests(self._subscription, ack_ids):
                self._stub.call("Acknowledge", request, CALL_S)

    def release(self, leases: Sequence[pa.Array]) -> None:
        """Give the messages back for delivery at once."""
        self._modify(leases, 0)

    def close(self) -> None:
        """Give back what was answered and not taken; end the Pulls that still wait.

        What the server sends into a Pull that ends this moment comes again after its ack deadline.
        """
        for future in self._open:
            future.cancel()
        while self._open:
            future = self._answered.get()
            del self._open[future]
            # A Pull that was cancelled or failed brought nothing.
            with contextlib.suppress(grpc.RpcError, grpc.FutureCancelledError):
                received = _take(future)
                if received is not None:
                    self.release([received.ack_ids])

    def _ask(self, messages_max: int) -> None:
        left = messages_max - sum(asked.messages for asked in self._open.values())
        while left > 0 and len(self._open) < PULLS_MAX:
            count = min(left, PULL_MESSAGES_MAX)
            request = wire.pull_request(self._subscription, count)
            future = self._stub.start("Pull", request, PULL_S)
            self._asked += 1
            self._open[future] = _Asked(self._asked, count)
            future.add_done_callback(self._answered.put)
            left -= count

    def _responses(self, wait_s: float, gather_s: float) -> Iterator[wire.Received]:
        """Yield responses with messages: wait for the first, then only for what is near.

        Raises:
            grpc.RpcError: a Pull failed and none before has brought messages; messages that are
                here already are never lost to an error, which the next Pull will meet again.
        """
        until_s = time.monotonic() + wait_s
        found = False
        while (future := self._next_answer(until_s)) is not None:
            del self._open[future]
            try:
                received = _take(future)
            except grpc.RpcError:
                if found:
                    return
                raise
            if received is None:
                until_s = min(until_s, time.monotonic() + PAUSE_S)
                continue
            if not found:
                found, until_s = True, time.monotonic() + gather_s
            yield received

    def _next_answer(self, until_s: float) -> grpc.Future | None:
        try:
            return self._answered.get(timeout=max(0.0, until_s - time.monotonic()))
        except queue.Empty:
            return None

    def _modify(self, leases: Sequence[pa.Array], deadline_s: int) -> None:
        for ack_ids in leases:
            for request in wire.extend_requests(self._subscription, ack_ids, deadline_s):
                self._stub.call("ModifyAckDeadline", request, CALL_S)


def _take(future: grpc.Future) -> wire.Received | None:
    """Return what a Pull brought, None if no message came in its time."""
    try:
        received = wire.decode_pull(future.result())
    except grpc.RpcError as error:
        if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
            return None
        raise
    return received if len(received.messages) else None


def _join(received: list[wire.Received]) -> Delivery:
    if not received:
        return Delivery(NOTHING, None, None, None)
    messages = Batch.concat([response.messages for response in received])
    ack_ids = pa.concat_arrays([response.ack_ids for response in received])
    return Delivery(messages, ack_ids, None, None)
