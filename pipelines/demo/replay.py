"""The replay: a year of flights, published in the order of event time within some seconds."""

from __future__ import annotations

import threading
import time
from types import TracebackType

from connectors import pubsub
from transforms.batch import Batch
from transforms.message import PUBLISH_MESSAGES_MAX

__all__ = ["Replay"]


class Replay:
    """Publishes messages in a thread of its own, at an even pace. A context manager.

    Args:
        topic: ``projects/P/topics/T``.
        messages: all of them, in their order.
        seconds: how long the whole of them takes; it takes longer if the broker is slower.
        published: how many of them an earlier replay has published.
    """

    def __init__(self, topic: str, messages: Batch, seconds: float, published: int = 0) -> None:
        self.published = published
        self.error: BaseException | None = None
        self._topic = topic
        self._messages = messages
        self._pace = len(messages) / seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="replay")

    @property
    def finished(self) -> bool:
        """Whether all messages are published."""
        return self.published == len(self._messages)

    def __enter__(self) -> Replay:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            with pubsub.Publisher(self._topic) as publisher:
                self._publish(publisher)
        except BaseException as error:  # noqa: BLE001 - it is told by the one who watches
            self.error = error

    def _publish(self, publisher: pubsub.Publisher) -> None:
        """Publish what is due, one request after the other: several at a time would overtake."""
        began_s, first = time.monotonic(), self.published
        while not self.finished:
            due = min(first + int((time.monotonic() - began_s) * self._pace), len(self._messages))
            count = min(due - self.published, PUBLISH_MESSAGES_MAX)
            if count:
                publisher.publish(self._messages.slice(self.published, count))
                self.published += count
            if self._stop.wait(0.0 if self.published < due else 0.02):
                return
