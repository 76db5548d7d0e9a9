"""A subscription under test, and a stream on it whose requests are sent one by one."""

import queue
import time
from dataclasses import dataclass
from typing import Any

from google.pubsub_v1.services.publisher import PublisherClient
from google.pubsub_v1.types import pubsub

WAIT_S = 20.0


@dataclass
class Feed:
    """A topic with a subscription, and what the tests do with them."""

    publisher: Any
    subscriber: Any
    topic: str
    subscription: str

    def publish(self, *messages: dict[str, Any]) -> list[str]:
        """Publish in one request; return the ids."""
        response = PublisherClient.publish(self.publisher, topic=self.topic, messages=messages)
        return list(response.message_ids)

    def pull(self, count_max: int = 1_000) -> list[Any]:
        """Return what is there now."""
        request = {"subscription": self.subscription, "max_messages": count_max,
                   "return_immediately": True}  # fmt: skip
        return list(self.subscriber.pull(request=request).received_messages)

    def pull_until(self, count: int) -> list[Any]:
        """Pull until there were so many messages, without acking."""
        received: list[Any] = []
        until_s = time.monotonic() + WAIT_S
        while len(received) < count and time.monotonic() < until_s:
            response = self.subscriber.pull(subscription=self.subscription, max_messages=count)
            received += response.received_messages
        assert len(received) == count
        return received

    def ack(self, received: list[Any]) -> None:
        """Acknowledge."""
        ids = [each.ack_id for each in received]
        self.subscriber.acknowledge(subscription=self.subscription, ack_ids=ids)

    def modify(self, received: list[Any], seconds: int) -> None:
        """Move the ack deadline; 0 is a nack."""
        ids = [each.ack_id for each in received]
        self.subscriber.modify_ack_deadline(
            subscription=self.subscription, ack_ids=ids, ack_deadline_seconds=seconds
        )


class Stream:
    """A StreamingPull whose requests are sent one by one."""

    def __init__(self, feed: Feed, **first: Any) -> None:
        self._requests: queue.Queue[Any] = queue.Queue()
        self.send(subscription=feed.subscription, **{"stream_ack_deadline_seconds": 60, **first})
        self._responses = feed.subscriber.streaming_pull(
            requests=iter(self._requests.get, None), timeout=WAIT_S
        )

    def send(self, **fields: Any) -> None:
        """Send a request."""
        self._requests.put(pubsub.StreamingPullRequest(fields))

    def receive(self, count: int) -> list[Any]:
        """Return so many messages, from as many responses as it takes."""
        received: list[Any] = []
        while len(received) < count:
            received += self.response().received_messages
        assert len(received) == count
        return received

    def response(self) -> Any:
        """Return the next response."""
        return next(self._responses)

    def close(self) -> None:
        """End the stream."""
        self._requests.put(None)
        self._responses.cancel()


def data(received: list[Any]) -> list[bytes]:
    """Return the payloads, sorted."""
    return sorted(each.message.data for each in received)
