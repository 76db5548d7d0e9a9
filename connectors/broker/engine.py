"""The broker at work: one event loop owns state and log, and no lock is needed.

Only the writing and syncing of the log happens in another thread (``commits.py``).
"""

from __future__ import annotations

import asyncio
import secrets
import time
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from connectors.broker import rows
from connectors.broker.backlog import Positions
from connectors.broker.bells import Bells
from connectors.broker.commits import Commits
from connectors.broker.counters import Counters
from connectors.broker.errors import NotFound, Refusal
from connectors.broker.events import (
    Acked,
    Event,
    Published,
    SubscriptionCreated,
    SubscriptionDeleted,
    TopicDeleted,
    key_hash,
)
from connectors.broker.filtering import Filters
from connectors.broker.frame import Entry
from connectors.broker.log import Disk, Log
from connectors.broker.reading import fitting
from connectors.broker.state import State, Subscription, Topic

__all__ = ["Delivery", "Engine"]

_HOUSEKEEPING_S = 60.0


class Delivery(NamedTuple):
    """Messages that were leased together."""

    rows: pa.RecordBatch
    positions: Positions
    generation: int


class Engine:
    """State and log of a data directory, recovered; use it on the running event loop only.

    Raises:
        CorruptLog: the log was damaged.
        DataDirInUse: another broker has it open.
    """

    def __init__(self, directory: Path) -> None:
        self.state = State()
        self.counters = Counters()
        self._log = Log(directory)
        try:
            self._recover()
        except BaseException:
            self._log.close()
            raise
        self._next_id, self._last_us = self.state.next_id, self.state.last_us
        self._loop = asyncio.get_running_loop()
        self._commits = Commits(self._log, self.state, self._ring_for)
        self._bells = Bells()
        self._filters = Filters(self.state)
        self._publishing: list[int] = []  # times of publishes that are not in the state yet
        # Random, so that a lease from before a restart is not taken for one of ours.
        self._generation = secrets.randbits(32)
        self._timer = self._loop.call_later(_HOUSEKEEPING_S, self._tick)
        self._forgetting: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """Finish what is being committed and let go of the log."""
        self._timer.cancel()
        await self._commits.close()
        self._log.close()

    async def commit(self, event: Event) -> bool:
        """Make an event durable and apply it; return False if what it was about is gone.

        Raises:
            Exhausted: the disk is full; nothing happened.
            Unavailable: the log has failed.
        """
        if isinstance(event, SubscriptionCreated):
            with self._filters.coming(event):
                return await self._commits.commit(event)
        return await self._commits.commit(event)

    async def commit_all(self, bundle: list[Entry]) -> list[bool]:
        """Make events durable and apply them, all or none, with nothing in between.

        Raises:
            Exhausted: the disk is full; nothing happened.
            Unavailable: the log has failed.
        """
        return await self._commits.commit_all(bundle)

    async def publish(self, topic: Topic, messages: pa.StructArray) -> pa.StringArray | None:
        """Add messages to a topic; return their ids, or None if the topic was deleted meanwhile.

        Raises:
            Exhausted: the disk is full; nothing was published.
            Unavailable: the log has failed.
        """
        if not self._log.has_room(messages.nbytes):
            await self._commits.make_room()
            self._log.check_room(messages.nbytes)
        # From here to the commit nothing may wait: ids are given out in the order of the log.
        time_us = self._last_us = max(_now_us(), self._last_us)
        batch = rows.stored(messages, self._next_id, time_us)
        key = key_hash(batch.column("ordering_key")[0].as_py())
        event = Published(topic.uid, self._next_id, len(messages), time_us, None, key)
        payload = memoryview(batch.serialize())
        bundle = [(event, payload), *self._filters.skipped(event, messages)]
        self._next_id += len(messages)
        self._publishing.append(time_us)
        try:
            published, *_ = await self._commits.commit_all(bundle)
        finally:
            self._publishing.remove(time_us)
        if not published:
            return None
        counts = self.counters.topic(topic.uid)
        counts.requests += 1
        counts.messages += len(messages)
        counts.size_bytes += int(rows.sizes_bytes(batch).sum())
        return batch.column("message_id")

    def horizon_us(self, subscription: Subscription) -> int:
        """Return a time before which nothing was published that is still to be acknowledged.

        Nor will be: it is the publish time of the oldest unacknowledged message, now if there is
        none. Microseconds since 1970.
        """
        oldest_us = subscription.oldest_us()
        return min([_now_us(), *self._publishing, *([] if oldest_us is None else [oldest_us])])

    async def ack(self, subscription: Subscription, positions: Positions) -> None:
        """Settle positions for good.

        Raises:
            Exhausted: the disk is full even for this.
            Unavailable: the log has failed.
        """
        positions = subscription.backlog.unacked(positions)
        if positions.size and await self.commit(Acked(subscription.uid, positions)):
            self.counters.subscription(subscription.uid).acked += positions.size

    def extend(
        self, subscription: Subscription, positions: Positions, generations: object, lease_s: float
    ) -> None:
        """Move the deadline of leases that are still held; 0 seconds gives the messages back."""
        if lease_s == 0:
            subscription.backlog.nack(positions, generations, self._loop.time())
        else:
            subscription.backlog.extend(positions, generations, self._loop.time(), lease_s)
        self._schedule(subscription.backlog.expiry_s)
        counts = self.counters.subscription(subscription.uid)
        counts.extended += positions.size
        if lease_s == 0:
            counts.nacked += positions.size
            self._bells.ring(subscription.uid)

    def lease(
        self,
        subscription: Subscription,
        messages_max: int,
        size_bytes_max: int,
        lease_s: float,
        owner: int = 0,
    ) -> Delivery | None:
        """Lease the oldest messages that are ready; None if there are none.

        Args:
            subscription: to deliver from.
            messages_max: messages at most.
            size_bytes_max: bytes of messages at most, unless the first alone is larger.
            lease_s: seconds of the lease.
            owner: number of the stream that is charged for them; 0 is nobody.
        """
        positions = subscription.backlog.peek(messages_max)
        if positions.size == 0:
            return None
        batch, sizes = fitting(self._log, subscription.topic, positions, size_bytes_max)
        positions = positions[: sizes.size]
        self._generation = (self._generation + 1) % 2**32
        now_s = self._loop.time()
        subscription.backlog.take(
            positions, sizes, now_s, lease_s, generation=self._generation, owner=owner
        )
        self._schedule(subscription.backlog.expiry_s)
        counts = self.counters.subscription(subscription.uid)
        counts.sent += positions.size
        counts.sent_bytes += int(sizes.sum())
        return Delivery(batch, positions, self._generation)

    async def lease_within(
        self,
        wait_s: float,
        subscription: Subscription,
        messages_max: int,
        size_bytes_max: int,
        lease_s: float,
    ) -> Delivery | None:
        """Lease like ``lease``, but wait for the first message.

        Raises:
            NotFound: the subscription was deleted meanwhile.
        """
        until_s = self._loop.time() + wait_s
        while True:
            delivery = self.lease(subscription, messages_max, size_bytes_max, lease_s)
            left_s = until_s - self._loop.time()
            if delivery or left_s <= 0:
                return delivery
            await self.wait(subscription, left_s)
            if not self.exists(subscription):
                raise NotFound(f"Subscription {subscription.settings.name} was deleted.")

    async def forget(self) -> None:
        """Drop what is older than the retention of its subscription.

        It goes through the log like any ack: what is freed must not be missed after a restart.
        """
        with suppress(Refusal):  # if the log can't take it now, the next tick tries again
            for event in self.state.overdue(_now_us()):
                await self.commit(event)

    def unready(self) -> str | None:
        """Return why the broker can't serve until a restart; None while it can."""
        return str(self._log.failure) if self._log.failure else None

    def disk(self) -> Disk:
        """Return what the log takes and leaves of its disk."""
        return self._log.disk()

    def read(
        self, topic: Topic, positions: Positions, size_bytes_max: int
    ) -> tuple[pa.RecordBatch, npt.NDArray[np.int64]]:
        """Return the rows of the first positions that fit, at least one, and their sizes."""
        return fitting(self._log, topic, positions, size_bytes_max)

    def exists(self, subscription: Subscription) -> bool:
        """Tell whether the subscription has not been deleted."""
        return self.state.subscriptions.get(subscription.settings.name) is subscription

    async def wait(self, subscription: Subscription, timeout_s: float | None) -> None:
        """Wait until something happens to a subscription, or the time is over."""
        await self._bells.wait(subscription.uid, timeout_s)

    def _recover(self) -> None:
        for event in self._log.recover():
            self.state.apply(event)
        self.state.check_complete()
        self.state.sweep()
        for place in self.state.places():
            self._log.keep(place)
        self._log.release([])

    def _ring_for(self, event: Event) -> None:
        match event:
            case Published(topic_uid=uid):
                for subscription in self.state.subscriptions_of(uid):
                    self._bells.ring(subscription.uid)
            case Acked(uid=uid):
                self._bells.ring(uid)
            case SubscriptionDeleted(uid=uid) | TopicDeleted(uid=uid):
                self.counters.forget(uid)
                self._bells.ring(uid)

    def _schedule(self, expiry_s: float) -> None:
        """Have ``_tick`` called when a lease expires, if that is before its next call."""
        if expiry_s < self._timer.when():
            self._timer.cancel()
            self._timer = self._loop.call_at(expiry_s, self._tick)

    def _tick(self) -> None:
        now_s = self._loop.time()
        for subscription, count in self.state.expire(now_s).items():
            self.counters.subscription(subscription.uid).expired += count
            self._bells.ring(subscription.uid)
        self._forgetting = self._loop.create_task(self.forget())
        next_s = min(self.state.expiry_s(), now_s + _HOUSEKEEPING_S)
        self._timer = self._loop.call_at(next_s, self._tick)


def _now_us() -> int:
    return time.time_ns() // 1_000
