"""A subscription that is read without end: the connection behind the splittable DoFn.

The runner calls ``process`` for a short time, again and again, with another instance of the DoFn
perhaps. What must outlive a call is here, once per process and reader: the request for messages
that is always open on the server, the leases, and what is not acknowledged yet.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import grpc

from connectors import retry
from connectors.pubsub.delivery import Delivery, Lease
from connectors.pubsub.keeper import LeaseKeeper
from connectors.pubsub.outstanding import Bundle, Outstanding
from connectors.pubsub.reading import Reading
from connectors.pubsub.session import Connection, connect
from connectors.pubsub.watermark import Tracker, Watermark
from transforms import metrics
from transforms.batch import Batch
from transforms.errors import HeadraceError, TransientError

__all__ = ["Emission", "Key", "Reader", "acquire", "give_back"]

_log = logging.getLogger(__name__)

BATCH_ROWS_MAX = 8_192
"""Of one delivery: enough for what Beam costs per element to vanish."""
OPEN_S = 1.0
"""How long the open request waits on the server: so late an idle watermark is."""
ACK_OUTAGE = retry.Backoff(patience_s=10.0)
"""Then the next bundle tries again; it also bounds how long closing takes."""
RELEASE_OUTAGE = retry.Backoff(patience_s=2.0)
"""Giving back is a courtesy: leases that nobody extends expire anyway."""
RETRY_S = 0.5
"""After a request that failed; the runner goes on meanwhile."""
IDLE_S = 10.0
"""A server that has had nothing for so long has delivered what it had."""
WARNING_S = 60.0
"""An outage is sat out however long it takes, and told so often."""


class Reader:
    """The living part of one reader. One call at a time; finalizers may come from any thread.

    Args:
        connection: to the subscription.
        tracker: of its watermark.
        closing: frees the connection.
    """

    def __init__(
        self, connection: Connection, tracker: Tracker, closing: contextlib.ExitStack
    ) -> None:
        self._subscription, self._subject, ack_deadline_s = connection
        self._closing = closing
        self._keeper = LeaseKeeper(self._subscription, ack_deadline_s)
        self._guard = threading.Lock()
        self._outstanding = Outstanding(leases_last=self._subscription.leases_last)
        self._settling = ThreadPoolExecutor(1, "pubsub-ack")
        self._waiting: deque[Delivery] = deque()
        self._outage = _Outage()
        self._last_s = time.monotonic()  # when messages came
        self.tracker = tracker
        self.idle_calls = 0

    @property
    def is_quiet(self) -> bool:
        """Whether no message has come for ``IDLE_S``."""
        return time.monotonic() - self._last_s >= IDLE_S

    def begin(self, reading: Reading) -> Emission:
        """Begin a call; what the runner has rolled back is given back."""
        self.tracker.resume(reading.steps)
        with self._guard:
            bundle, released = self._outstanding.begin(reading.unsettled, now_us())
        if released:
            _log.info("a bundle was rolled back: its messages are given back")
            self._keeper.drop(released)
            self._settling.submit(self._release, released)
        return Emission(self, bundle)

    def poll(self, wait_s: float) -> Delivery | None:
        """Return what has come, waiting so long at most; None if nothing is known.

        Raises:
            HeadraceError: there is no such subscription any more, or access is denied.
        """
        if self._waiting:
            return self._waiting.popleft()
        if self._outage.lasts(time.monotonic()):
            return None
        try:
            delivery = self._subscription.poll(BATCH_ROWS_MAX, wait_s, OPEN_S)
        except grpc.RpcError as error:
            self._failed(error)
            return None
        if delivery is not None:
            self._outage.end()
            self._note(delivery)
        return delivery

    def put_back(self, delivery: Delivery) -> None:
        """Keep a delivery that the present call can't take for the next one."""
        self._waiting.append(delivery)

    def accept(self, bundle: Bundle, delivery: Delivery) -> Batch:
        """Take a delivery into a bundle; return the messages that are new."""
        fresh = delivery.messages
        if len(fresh):
            self._last_s = time.monotonic()
            with self._guard:
                fresh = self._outstanding.accept(bundle, delivery)
        self.tracker.observe(delivery.messages, delivery.horizon_us, now_us())
        metrics.MESSAGES_READ.inc(len(fresh))
        metrics.MESSAGES_REDELIVERED.inc(len(delivery.messages) - len(fresh))
        return fresh

    def rest(self, bundle: Bundle) -> Reading:
        """Return what the next call has to know."""
        # A delivery that waits may hold what was acknowledged after it was answered.
        answered = -1 if self._waiting else self._subscription.answered
        with self._guard:
            listed = self._outstanding.listed(bundle, answered, now_us(), idle=self.is_quiet)
        return Reading(listed, steps=self.tracker.steps())

    def committed(self, bundle: Bundle) -> None:
        """Acknowledge a bundle that the runner has committed, in the background."""
        with self._guard:
            due = self._outstanding.committed(bundle)
        if due:
            self._settling.submit(self._acknowledge, due)

    def close(self) -> None:
        """Finish acknowledging; give back everything else, if the server can be reached."""
        self._settling.shutdown()
        self._keeper.stop()
        with self._closing, contextlib.suppress(HeadraceError):
            with self._guard:
                leases = self._outstanding.open_leases()
            leases += [each.lease for each in self._waiting if each.lease is not None]
            self._release(leases)
            retry.call(self._subscription.close, self._subject, RELEASE_OUTAGE)

    def _note(self, delivery: Delivery) -> None:
        if delivery.lease is not None:
            self._keeper.hold(delivery.lease)
        if delivery.backlog is not None:
            metrics.BACKLOG.set(delivery.backlog)

    def _failed(self, error: grpc.RpcError) -> None:
        translated = retry.translate(error, self._subject)
        if not isinstance(translated, TransientError):
            raise translated from error
        if self._outage.note(time.monotonic()):
            _log.warning("%s; reading goes on when it is back", translated)

    def _acknowledge(self, bundles: list[Bundle]) -> None:
        leases = [lease for bundle in bundles for lease in bundle.leases]
        try:
            retry.call(lambda: self._subscription.acknowledge(leases), self._subject, ACK_OUTAGE)
        except HeadraceError as error:
            _log.warning("not acknowledged, a later bundle tries again: %s", error)
            with self._guard:
                self._outstanding.failed(bundles)
            return
        self._keeper.drop(leases)
        with self._guard:
            self._outstanding.settled(bundles, self._subscription.asked)

    def _release(self, leases: list[Lease]) -> None:
        if not leases:
            return
        try:
            retry.call(lambda: self._subscription.release(leases), self._subject, RELEASE_OUTAGE)
        except HeadraceError as error:
            _log.info("not given back, they come again when their leases expire: %s", error)


class Emission:
    """One call of ``process``: what it takes, and what it leaves to the next.

    Attributes:
        fresh: the new messages of the delivery that was accepted last.
    """

    def __init__(self, reader: Reader, bundle: Bundle) -> None:
        self._reader = reader
        self._bundle = bundle
        self.fresh: Batch | None = None

    def accept(self, delivery: Delivery) -> None:
        """Take a delivery into the bundle."""
        self.fresh = self._reader.accept(self._bundle, delivery)

    def rest(self) -> Reading:
        """Return what the next call has to know."""
        return self._reader.rest(self._bundle)

    @property
    def owes(self) -> bool:
        """Whether there is something to acknowledge when the bundle is committed."""
        return self._bundle.owes

    def committed(self) -> None:
        """Acknowledge: the bundle is safe."""
        self._reader.committed(self._bundle)


class _Outage:
    """When to ask again, and when to say so."""

    def __init__(self) -> None:
        self._again_s = 0.0
        self._told_s: float | None = None

    def lasts(self, now_s: float) -> bool:
        """Tell whether it is too early to ask again."""
        return now_s < self._again_s

    def note(self, now_s: float) -> bool:
        """Note a failure; return whether it is to be told."""
        self._again_s = now_s + RETRY_S
        if self._told_s is not None and now_s - self._told_s < WARNING_S:
            return False
        self._told_s = now_s
        return True

    def end(self) -> None:
        """Note that the server has answered."""
        self._again_s, self._told_s = 0.0, None


class Key(NamedTuple):
    """Which reader: of a step, which several instances of a DoFn execute, and a subscription."""

    step: str
    subscription: str


_guard = threading.Lock()
_readers: dict[Key, tuple[Reader, int]] = {}
"""The readers of this process, and how many instances of the DoFn use each."""


def acquire(key: Key, watermark: Watermark) -> Reader:
    """Return the living reader; the first to ask for it connects. Each use is given back once.

    Raises:
        ConfigError: there is no such subscription, or access is denied.
        TransientError: the server can't be reached.
    """
    with _guard:
        reader, users = _readers.get(key) or (_open(key.subscription, watermark), 0)
        _readers[key] = reader, users + 1
        return reader


def give_back(key: Key) -> None:
    """End one use of a reader; the last closes it."""
    with _guard:
        reader, users = _readers.pop(key)
        if users > 1:
            _readers[key] = reader, users - 1
            return
    reader.close()


def now_us() -> int:
    """Return the time of day in microseconds since 1970."""
    return time.time_ns() // 1_000


def _open(name: str, watermark: Watermark) -> Reader:
    with contextlib.ExitStack() as closing:
        connection = connect(name, closing)
        return Reader(connection, watermark.tracker(), closing.pop_all())
