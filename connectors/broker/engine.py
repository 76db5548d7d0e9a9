"""The broker at work: one event loop owns state and log, and no lock is needed.

Only the writing and syncing of the log happens in another thread (``commits.py``).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from connectors.broker import rows
from connectors.broker.backlog import Positions
from connectors.broker.bells import Bells
from connectors.broker.commits import Commits
from connectors.broker.counters import Counters
from connectors.broker.delivery import Deliveries
from connectors.broker.events import (
    Acked,
    Detached,
    Event,
    Expunged,
    Published,
    Sought,
    SubscriptionCreated,
    SubscriptionDeleted,
    SubscriptionUpdated,
    TopicDeleted,
    key_hash,
)
from connectors.broker.filtering import Filters
from connectors.broker.forwarding import Forwarding
from connectors.broker.frame import Entry
from connectors.broker.lifecycle import Lifecycle
from connectors.broker.log import Log
from connectors.broker.memory import MemoryLog
from connectors.broker.presenting import Presenting
from connectors.broker.push.pushing import Pushing
from connectors.broker.reading import fitting
from connectors.broker.state import State, Subscription, Topic
from connectors.broker.store import Disk, Durability, Store
from connectors.broker.transforming import Transforming

__all__ = ["Engine"]

_TICK_S_MAX = 60.0
_TICK_S_FAULTY = 1.0


class Engine:
    """State and log of a data directory, recovered; use it on the running event loop only.

    Args:
        directory: of the log; None keeps everything in memory, and nothing survives.
        durability: of the log on disk.

    Raises:
        CorruptLog: the log was damaged.
        DataDirInUse: another broker has it open.
    """

    def __init__(self, directory: Path | None, durability: Durability = Durability.ALWAYS) -> None:
        self.state = State()
        self.counters = Counters()
        self._log: Store = Log(directory, durability) if directory else MemoryLog()
        try:
            self._recover()
        except BaseException:
            self._log.close()
            raise
        self._next_id, self._last_us = self.state.next_id, self.state.last_us
        self._loop = asyncio.get_running_loop()
        self._commits = Commits(self._log, self.state, self._applied)
        self._bells = Bells()
        self.delivery = Deliveries(
            self.state, self._log, self._commits, self._bells,
            counters=self.counters, schedule=self._schedule,
        )  # fmt: skip
        self._forwarding = Forwarding(
            self.state, self._log, self.delivery, self.counters, self.publish
        )
        self._filters = Filters(self.state)
        self.transforming = Transforming()
        self.delivery.present = Presenting(self.delivery, self.transforming).presented
        self.pushing = Pushing(self.state, self.delivery)
        self._publishing: list[int] = []  # times of publishes that are not in the state yet
        self._timer = self._loop.call_later(_TICK_S_MAX, self._tick)
        self.lifecycle = Lifecycle(self.state, self._log, self._commits, self._bells)
        self.delivery.used = self.lifecycle.used
        self.pushing.start()

    async def close(self) -> None:
        """Finish what is being committed and let go of the log."""
        self._timer.cancel()
        await self.lifecycle.close()
        await self.pushing.close()
        await self._forwarding.close()
        await self.delivery.close()
        await self._commits.close()
        self._log.close()
        self.transforming.close()

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

    async def publish(
        self, topic: Topic, messages: pa.StructArray, also: Sequence[Entry] = ()
    ) -> pa.StringArray | None:
        """Add messages to a topic; return their ids, or None if the topic was deleted meanwhile.

        Args:
            topic: to publish to.
            messages: structs as in a Publish request, all of one ordering key.
            also: what else happens, in the log with the messages or not at all.

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
        bundle = [(event, payload), *self._filters.skipped(event, messages), *also]
        self._next_id += len(messages)
        self._publishing.append(time_us)
        try:
            if also:  # which may not happen alone, if the topic is deleted first
                done = await self._commits.commit_made(lambda: [] if topic.deleted else bundle)
            else:
                done = await self._commits.commit_all(bundle)
        finally:
            self._publishing.remove(time_us)
        if not any(done[:1]):
            return None
        counts = self.counters.topic(topic.uid)
        counts.requests += 1
        counts.messages += len(messages)
        counts.size_bytes += rows.size_bytes(batch)
        return batch.column("message_id")

    def unused_ids(self, count: int) -> pa.StringArray:
        """Return ids for messages that are accepted and kept nowhere."""
        first, self._next_id = self._next_id, self._next_id + count
        return rows.ids(first, count)

    def horizon_us(self, subscription: Subscription) -> int:
        """Return a time before which nothing was published that is still to be acknowledged.

        Nor will be: it is the publish time of the oldest unacknowledged message, now if there is
        none. Microseconds since 1970.
        """
        oldest_us = subscription.oldest_us()
        return min([_now_us(), *self._publishing, *([] if oldest_us is None else [oldest_us])])

    def unready(self) -> str | None:
        """Return why the broker can't serve until a restart; None while it can."""
        return self._log.failure

    def disk(self) -> Disk:
        """Return what the log takes and leaves of its disk."""
        return self._log.disk()

    def read(
        self, topic: Topic, positions: Positions, size_bytes_max: int
    ) -> tuple[pa.RecordBatch, npt.NDArray[np.int64]]:
        """Return the rows of the first positions that fit, at least one, and their sizes."""
        return fitting(self._log, topic, positions, size_bytes_max)

    def _recover(self) -> None:
        for event in self._log.recover():
            self.state.apply(event)
        self.state.recovered()
        self.state.reclaim()
        for place in self.state.places():
            self._log.keep(place)
        self._log.release([])

    def _applied(self, event: Event) -> None:
        match event:
            case Published(topic_uid=uid):
                for subscription in self.state.subscriptions_of(uid):
                    self.delivery.arrived(subscription)
            case Acked(uid=uid):
                self.delivery.acked(uid)
            case SubscriptionCreated(uid=uid):
                self.pushing.changed(uid)
            case (
                Sought(uid=uid)
                | Detached(uid=uid)
                | Expunged(uid=uid)
                | SubscriptionUpdated(uid=uid)
            ):
                self._bells.ring(uid)
                self.pushing.changed(uid)
            case SubscriptionDeleted(uid=uid) | TopicDeleted(uid=uid):
                self.counters.forget(uid)
                self._bells.ring(uid)
                self.pushing.changed(uid)

    def _schedule(self, expiry_s: float) -> None:
        """Have ``_tick`` called when a lease expires, if that is before its next call."""
        if expiry_s < self._timer.when():
            self._timer.cancel()
            self._timer = self._loop.call_at(expiry_s, self._tick)

    def _tick(self) -> None:
        now_s = self._loop.time()
        next_s = now_s + _TICK_S_FAULTY  # without a timer no lease would ever end again
        try:
            self.delivery.expire()
            next_s = min(self.state.expiry_s(), now_s + _TICK_S_MAX)
        finally:
            self._timer = self._loop.call_at(next_s, self._tick)


def _now_us() -> int:
    return time.time_ns() // 1_000
