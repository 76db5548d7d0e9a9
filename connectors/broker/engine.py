"""The broker at work: one event loop owns state and log; commits are grouped; waiters are woken.

Everything here runs on the loop's thread, except the writing and syncing of the log, which runs in
a thread of its own. While that thread syncs, new events gather, and the next sync serves them all.
An event reaches the state only after its sync: what is delivered is durable.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from connectors.broker import limits, rows
from connectors.broker.backlog import Positions
from connectors.broker.errors import Exhausted, NotFound, Refusal
from connectors.broker.events import Acked, Event, Place, Published, SubscriptionDeleted
from connectors.broker.log import Log
from connectors.broker.state import State, Subscription, Topic

__all__ = ["Delivery", "Engine"]

_HOUSEKEEPING_S = 60.0


class Delivery(NamedTuple):
    """Messages that were leased together."""

    rows: pa.RecordBatch
    positions: Positions
    generation: int


class _Waiting(NamedTuple):
    event: Event
    rows: bytes | memoryview
    done: asyncio.Future[bool]


class Engine:
    """State and log of a data directory, recovered; use it on the running event loop only.

    Raises:
        CorruptLog: the log was damaged.
        DataDirInUse: another broker has it open.
    """

    def __init__(self, directory: Path) -> None:
        self.state = State()
        self._log = Log(directory)
        try:
            self._recover()
        except BaseException:
            self._log.close()
            raise
        self.next_id = self.state.next_id
        self._loop = asyncio.get_running_loop()
        self._writer = ThreadPoolExecutor(1, "broker-log")
        self._pending: list[_Waiting] = []
        self._committing: asyncio.Task[None] | None = None
        self._bells: defaultdict[int, set[asyncio.Future[None]]] = defaultdict(set)
        # Random, so that a lease from before a restart is not taken for one of ours.
        self._generation = secrets.randbits(32)
        self._timer = self._loop.call_later(_HOUSEKEEPING_S, self._tick)
        self._forgetting: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """Finish what is being committed and let go of the log."""
        self._timer.cancel()
        if self._committing:
            await self._committing
        self._writer.shutdown()
        self._log.close()

    async def commit(self, event: Event, payload: bytes | memoryview = b"") -> bool:
        """Make an event durable and apply it; return False if what it was about is gone.

        Raises:
            Exhausted: the disk is full; nothing happened.
            Unavailable: the log has failed.
        """
        done: asyncio.Future[bool] = self._loop.create_future()
        self._pending.append(_Waiting(event, payload, done))
        if self._committing is None:
            self._committing = self._loop.create_task(self._drain())
        return await done

    async def publish(self, topic: Topic, messages: pa.StructArray) -> pa.StringArray | None:
        """Add messages to a topic; return their ids, or None if the topic was deleted meanwhile.

        Raises:
            Exhausted: the disk is full; nothing was published.
            Unavailable: the log has failed.
        """
        time_us = max(_now_us(), topic.blocks[-1].time_us if topic.blocks else 0)
        batch = rows.stored(messages, self.next_id, time_us)
        event = Published(topic.created.uid, self.next_id, len(messages), time_us)
        payload = memoryview(batch.serialize())
        self._log.check_room(len(payload))
        self.next_id += len(messages)
        return batch.column("message_id") if await self.commit(event, payload) else None

    async def ack(self, subscription: Subscription, positions: Positions) -> None:
        """Settle positions for good.

        Raises:
            Exhausted: the disk is full even for this.
            Unavailable: the log has failed.
        """
        positions = subscription.backlog.unacked(positions)
        if positions.size:
            await self.commit(Acked(subscription.created.uid, positions))

    def extend(
        self, subscription: Subscription, positions: Positions, generations: object, lease_s: float
    ) -> None:
        """Move the deadline of leases that are still held; 0 seconds gives the messages back."""
        subscription.backlog.extend(positions, generations, self._loop.time(), lease_s)
        self._schedule(subscription.backlog.expiry_s)
        if lease_s == 0:
            self.ring(subscription.created.uid)

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
        batch, sizes = self._fitting(subscription.topic, positions, size_bytes_max)
        positions = positions[: sizes.size]
        self._generation = (self._generation + 1) % 2**32
        now_s = self._loop.time()
        subscription.backlog.take(
            positions, sizes, now_s, lease_s, generation=self._generation, owner=owner
        )
        self._schedule(subscription.backlog.expiry_s)
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
                raise NotFound(f"Subscription {subscription.created.name} was deleted.")

    async def forget(self) -> None:
        """Drop what is older than the retention of its subscription.

        It goes through the log like any ack: what is freed must not be missed after a restart.
        """
        with suppress(Refusal):  # if the log can't take it now, the next tick tries again
            for event in self.state.overdue(_now_us()):
                await self.commit(event)

    def exists(self, subscription: Subscription) -> bool:
        """Tell whether the subscription has not been deleted."""
        created = subscription.created
        return self.state.subscriptions.get(created.name) is subscription

    async def wait(self, subscription: Subscription, timeout_s: float | None) -> None:
        """Wait until something happens to a subscription, or the time is over."""
        bell = self._loop.create_future()
        waiting = self._bells[subscription.created.uid]
        waiting.add(bell)
        try:
            await asyncio.wait([bell], timeout=timeout_s)
        finally:
            waiting.discard(bell)

    def ring(self, uid: int) -> None:
        """Wake all that wait for something to happen to a subscription."""
        for bell in self._bells.pop(uid, ()):
            if not bell.done():
                bell.set_result(None)

    def _recover(self) -> None:
        for event in self._log.recover():
            self.state.apply(event)
        self.state.check_complete()
        self.state.sweep()
        for place in self.state.places():
            self._log.keep(place)
        self._log.release([])

    async def _drain(self) -> None:
        while self._pending:
            if self._log.size_bytes > limits.SEGMENT_BYTES_MAX:
                await self._rotate()
            group, self._pending = self._pending, []
            try:
                await self._commit_group(group)
            except Exception as error:  # noqa: BLE001 - those who wait must hear of it
                _fail(group, error)
            self._log.release(self.state.reclaim())
        self._committing = None

    async def _commit_group(self, group: list[_Waiting]) -> None:
        """Commit events together; if there is no room for all, each that finds room by itself."""
        try:
            await self._write(group)
        except Exhausted as full:
            if len(group) == 1:
                _fail(group, full)
            else:
                for each in group:
                    await self._commit_group([each])

    async def _rotate(self) -> None:
        snapshot = self.state.snapshot()
        try:
            await self._loop.run_in_executor(self._writer, self._log.rotate, snapshot)
        except Exhausted:
            return  # the old segment serves on, and what needs less room may yet be written
        self._log.release(self.state.sweep())

    async def _write(self, group: list[_Waiting]) -> None:
        entries = [(each.event, each.rows) for each in group]
        places = await self._loop.run_in_executor(self._writer, self._log.write, entries)
        for each, place in zip(group, places, strict=True):
            applied = self._apply(each.event, place)
            if not each.done.done():
                each.done.set_result(applied)

    def _apply(self, event: Event, place: Place) -> bool:
        if isinstance(event, Published):
            event = msgspec.structs.replace(event, place=place)
        applied = self.state.apply(event)
        if applied and isinstance(event, Published):
            self._log.keep(place)
        self._ring_for(event)
        return applied

    def _ring_for(self, event: Event) -> None:
        match event:
            case Published(topic_uid=uid):
                for subscription in self.state.subscriptions_of(uid):
                    self.ring(subscription.created.uid)
            case Acked(uid=uid) | SubscriptionDeleted(uid=uid):
                self.ring(uid)

    def _fitting(
        self, topic: Topic, positions: Positions, size_bytes_max: int
    ) -> tuple[pa.RecordBatch, npt.NDArray[np.int64]]:
        """Return the rows of the first positions that fit, at least one, and their sizes."""
        parts: list[pa.RecordBatch] = []
        sizes: list[npt.NDArray[np.int64]] = []
        room = size_bytes_max
        for part in self._parts(topic, positions):
            size = rows.sizes_bytes(part)
            until = np.cumsum(size)
            fit = int(np.searchsorted(until, room, side="right"))
            if fit == 0 and not parts:
                fit = 1
            parts.append(part.slice(0, fit))
            sizes.append(size[:fit])
            if fit < part.num_rows:
                break
            room -= int(until[-1])
        return rows.join(parts), np.concatenate(sizes)

    def _parts(self, topic: Topic, positions: Positions) -> Iterator[pa.RecordBatch]:
        """Yield the rows of ascending positions, block by block, read in place."""
        at = 0
        while at < positions.size:
            index = bisect_right(topic.blocks, positions[at], key=lambda block: block.first)
            block = topic.blocks[index - 1]
            stop = int(np.searchsorted(positions, block.first + block.messages))
            own = positions[at:stop] - block.first
            batch = pa.ipc.read_record_batch(self._log.payload(block.place), rows.STORED)
            if own[-1] - own[0] + 1 == own.size:
                yield batch.slice(int(own[0]), own.size)
            else:
                yield batch.take(pa.array(own))
            at = stop

    def _schedule(self, expiry_s: float) -> None:
        """Have ``_tick`` called when a lease expires, if that is before its next call."""
        if expiry_s < self._timer.when():
            self._timer.cancel()
            self._timer = self._loop.call_at(expiry_s, self._tick)

    def _tick(self) -> None:
        now_s = self._loop.time()
        for subscription in self.state.expire(now_s):
            self.ring(subscription.created.uid)
        self._forgetting = self._loop.create_task(self.forget())
        next_s = min(self.state.expiry_s(), now_s + _HOUSEKEEPING_S)
        self._timer = self._loop.call_at(next_s, self._tick)


def _now_us() -> int:
    return time.time_ns() // 1_000


def _fail(group: list[_Waiting], error: Exception) -> None:
    for each in group:
        if not each.done.done():
            each.done.set_exception(error)
