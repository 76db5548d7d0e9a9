"""The wire to our own broker: one Arrow batch and one lease at a time.

The broker offers this beside the standard API, as ``headrace.broker.v1.Batches``. A batch of
thousands of messages has one lease id instead of thousands of acknowledgement ids, and the server
says how much is left, so that a drained subscription is known at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import grpc
import msgspec
import pyarrow as pa

from connectors.clients import RawStub
from connectors.pubsub.delivery import NOTHING, Delivery
from transforms.batch import Batch

__all__ = ["BatchLeases"]

SERVICE = "headrace.broker.v1.Batches"

BATCH_ROWS_MAX = 8_192
BATCH_BYTES_MAX = 16_000_000
CALL_S = 30.0
"""Time for the server to answer, beside the wait for messages that is asked for."""

CLOSE_S = 0.25
"""For the answer to a request that is under way: one that comes later waits for messages."""

_HEADER_BYTES_LENGTH = 4


class BatchLeases:
    """A subscription of our broker.

    While one batch is being worked on, the next is already on its way.

    Args:
        channel: to the server.
        subscription: full name.
        ack_deadline_s: how long a lease lasts without extension.
    """

    leases_last = True

    def __init__(self, channel: grpc.Channel, subscription: str, ack_deadline_s: int) -> None:
        self._stub = RawStub(channel, SERVICE, ("subscription", subscription))
        self._subscription = subscription
        self._ack_deadline_s = ack_deadline_s
        self._ahead: grpc.Future | None = None
        self._asked = 0

    @property
    def asked(self) -> int:
        """How many leases were asked for."""
        return self._asked

    @property
    def answered(self) -> int:
        """How many of them were taken; one is under way at a time."""
        return self._asked if self._ahead is None else self._asked - 1

    def is_offered(self) -> bool:
        """Ask the server whether it has this service."""
        try:
            self.extend([])
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.UNIMPLEMENTED:
                return False
            raise
        return True

    def pull(self, messages_max: int, wait_s: float) -> Delivery:
        """Return the next batch; see ``Subscription.pull``."""
        asked = self._ahead or self._ask(messages_max, wait_s)
        self._ahead = None
        header, stream = _split(asked.result())
        left = messages_max - header["messages"]
        if header["backlog"] > 0 and left > 0:
            self._ahead = self._ask(left, wait_s)
        return _delivery(header, stream)

    def poll(self, messages_max: int, wait_s: float, open_s: float) -> Delivery | None:
        """Return the next batch if it is here; see ``Subscription.poll``."""
        if self._ahead is None:
            self._ahead = self._ask(messages_max, open_s)
        try:
            response = self._ahead.result(wait_s)
        except grpc.FutureTimeoutError:
            return None
        except grpc.RpcError:
            self._ahead = None  # it is over, and the next poll asks anew
            raise
        self._ahead = self._ask(messages_max, open_s)
        return _delivery(*_split(response))

    def extend(self, leases: Sequence[str]) -> Sequence[str]:
        """Hold the leases for another ack deadline; return those that are still held."""
        answer = self._call("Extend", leases=leases, ack_deadline_s=self._ack_deadline_s)
        expired = set(answer["expired"])
        return [lease for lease in leases if lease not in expired]

    def acknowledge(self, leases: Sequence[str]) -> None:
        """Acknowledge all messages of the leases, expired ones included."""
        self._call("Acknowledge", leases=leases)

    def release(self, leases: Sequence[str]) -> None:
        """Give the messages back for delivery at once."""
        self._call("Release", leases=leases)

    def close(self) -> None:
        """Give back the batch that was asked for ahead."""
        asked, self._ahead = self._ahead, None
        if asked is None:
            return
        try:
            header, _ = _split(asked.result(CLOSE_S))
        except grpc.FutureTimeoutError:
            asked.cancel()  # there is nothing, or else it comes again after its ack deadline
            return
        if header["lease"] is not None:
            self.release([header["lease"]])

    def _ask(self, messages_max: int, wait_s: float) -> grpc.Future:
        self._asked += 1
        request = {
            "subscription": self._subscription,
            "max_messages": min(messages_max, BATCH_ROWS_MAX),
            "max_bytes": BATCH_BYTES_MAX,
            "ack_deadline_s": self._ack_deadline_s,
            "wait_s": wait_s,
        }
        return self._stub.start("Lease", msgspec.json.encode(request), wait_s + CALL_S)

    def _call(self, method: str, **request: Any) -> Any:
        request["leases"] = list(request["leases"])
        return msgspec.json.decode(self._stub.call(method, msgspec.json.encode(request), CALL_S))


def _delivery(header: dict[str, Any], stream: memoryview) -> Delivery:
    return Delivery(
        _read_batch(stream) if header["messages"] else NOTHING,
        header["lease"],
        header["backlog"],
        unacknowledged=header["backlog"] + header["outstanding"],
        horizon_us=header.get("horizon_us"),
    )


def _split(response: bytes) -> tuple[dict[str, Any], memoryview]:
    """Return the header and the bytes of the Arrow stream behind it."""
    view = memoryview(response)
    length = int.from_bytes(view[:_HEADER_BYTES_LENGTH], "little")
    end = _HEADER_BYTES_LENGTH + length
    return msgspec.json.decode(view[_HEADER_BYTES_LENGTH:end]), view[end:]


def _read_batch(stream: memoryview) -> Batch:
    # No copy: the columns point into the response.
    with pa.ipc.open_stream(pa.py_buffer(stream)) as reader:
        return Batch(reader.read_next_batch())
