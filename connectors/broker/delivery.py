"""Delivery at work: leases, acks, redelivery, and who is woken when."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from connectors.broker.backlog import Positions
from connectors.broker.bells import EVERYTHING, Bells
from connectors.broker.commits import Commits
from connectors.broker.counters import Counters
from connectors.broker.errors import FailedPrecondition, NotFound, Refusal
from connectors.broker.events import Acked
from connectors.broker.owners import Owners
from connectors.broker.reading import fitting
from connectors.broker.retry import AT_ONCE, Redelivery
from connectors.broker.state import State, Subscription
from connectors.broker.store import Store

__all__ = ["Acks", "Deliveries", "Delivery", "Want"]

_Mask = npt.NDArray[np.bool_]


class Delivery(NamedTuple):
    """Messages that were leased together."""

    rows: pa.RecordBatch
    positions: Positions
    generation: int
    attempts: npt.NDArray[np.int32] | None
    """Which delivery this is of each message; None where no dead letter policy counts them."""


class Want(NamedTuple):
    """What somebody asks for.

    Args:
        messages: how many at most.
        size_bytes: bytes of messages at most, unless the first alone is larger.
        lease_s: seconds of the lease.
    """

    messages: int
    size_bytes: int
    lease_s: float


class Acks(NamedTuple):
    """Which acks of a request did not count: a truth for each."""

    invalid: _Mask
    """Not held under just that lease."""
    unordered: _Mask
    """Behind an unacked message of the same ordering key."""


class Deliveries:
    """Leases on the backlogs of a state; use it on the event loop only.

    Args:
        state: whose backlogs it leases from.
        log: that has the messages.
        commits: the way of an ack into the log.
        bells: for those who wait.
        counters: of what happens here.
        schedule: called with a time at which ``expire`` is to be called at the latest.
    """

    def __init__(
        self,
        state: State,
        log: Store,
        commits: Commits,
        bells: Bells,
        *,
        counters: Counters,
        schedule: Callable[[float], None],
    ) -> None:
        self._state, self._log, self._commits, self._bells = state, log, commits, bells
        self.counters, self._schedule = counters, schedule
        self._loop = asyncio.get_running_loop()
        self._settling: set[asyncio.Task[Any]] = set()
        # Random, so that a lease from before a restart is not taken for one of ours.
        self._generation = secrets.randbits(32)
        self.owners = Owners()
        self.dying: Callable[[Subscription], None] = lambda _: None
        """Called when messages of a subscription are to be forwarded as dead letters."""
        self.used: Callable[[Subscription], None] = lambda _: None
        """Called when messages of a subscription are leased."""
        self.present: Callable[[Subscription, Delivery], Awaitable[Delivery | None]] = _as_it_is
        """What is left to deliver of what was leased; to be awaited before it is sent."""

    def lease(
        self, subscription: Subscription, want: Want, owner: int = 0, share: int = EVERYTHING
    ) -> Delivery | None:
        """Lease the oldest messages that can be delivered; None if there are none.

        Args:
            subscription: to deliver from.
            want: how much, for how long.
            owner: number of the stream that is charged for them; 0 is nobody.
            share: messages at most, where others wait as well.
        """
        backlog = subscription.backlog
        positions = backlog.peek(min(want.messages, share))
        if positions.size == 0:
            return None
        batch, sizes = fitting(self._log, subscription.topic, positions, want.size_bytes)
        positions = positions[: sizes.size]
        self._generation = (self._generation + 1) % 2**32
        backlog.take(
            positions, sizes, self._loop.time(), want.lease_s,
            generation=self._generation, owner=owner,
        )  # fmt: skip
        self._schedule(backlog.expiry_s)
        self.used(subscription)
        if positions.size < share:
            self._share(subscription)
        counts = self.counters.subscription(subscription.uid)
        counts.sent += positions.size
        counts.sent_bytes += int(sizes.sum())
        counted = subscription.settings.dead_letter is not None
        attempts = backlog.attempts(positions) if counted else None
        return Delivery(batch, positions, self._generation, attempts)

    async def lease_within(
        self, wait_s: float, subscription: Subscription, want: Want
    ) -> Delivery | None:
        """Lease like ``lease``, but wait for the first message.

        Raises:
            NotFound: the subscription was deleted meanwhile.
            FailedPrecondition: it was detached.
        """
        until_s = self._loop.time() + wait_s
        share = EVERYTHING
        while True:
            self.check(subscription)
            delivery = self.lease(subscription, want, share=share)
            if delivery and (left := await self.present(subscription, delivery)):
                return left
            left_s = until_s - self._loop.time()
            if left_s <= 0:
                return None
            if delivery:
                continue  # nothing was left of these; there may be others
            share = await self.wait_for_messages(subscription, left_s) or EVERYTHING

    async def ack(self, subscription: Subscription, positions: Positions, generations: Any) -> Acks:
        """Settle positions for good; tell which of them count.

        For an exactly-once subscription those count that are held under just this generation and
        have no unacked message of their ordering key before them; for all others every one.

        Raises:
            Exhausted: the disk is full even for this.
            Unavailable: the log has failed.
        """
        backlog, settings = subscription.backlog, subscription.settings
        if not (settings.exactly_once or settings.ordered):
            await self._commit(subscription, backlog.settle(positions))
            return _all_count(positions)
        if settings.exactly_once:
            held = backlog.holds(positions, generations)
            settled = backlog.settle_held(positions[held])
            acks = Acks(~held, held & ~np.isin(positions, settled))
        else:
            settled, acks = backlog.settle(positions), _all_count(positions)
        self._share(subscription)
        # What is being settled must be taken back if it fails, even if nobody waits any more.
        task = self._loop.create_task(self._settle(subscription, settled))
        self._settling.add(task)
        task.add_done_callback(self._settled)
        await asyncio.shield(task)
        return acks

    def extend(
        self,
        subscription: Subscription,
        positions: Positions,
        generations: Any,
        lease_s: float,
        *,
        waits: Redelivery = AT_ONCE,
    ) -> _Mask:
        """Move the deadline of what is still held; 0 seconds is a nack. Tell what is held.

        What is nacked comes again by the retry policy, and after ``waits`` at least.
        """
        backlog, now_s = subscription.backlog, self._loop.time()
        held = backlog.holds(positions, generations)
        counts = self.counters.subscription(subscription.uid)
        counts.extended += positions.size
        if lease_s == 0:
            redelivery = Redelivery.of(subscription.settings).at_least(waits)
            backlog.nack(positions, generations, now_s, redelivery)
            counts.nacked += int(held.sum())
            self._changed(subscription)
        else:
            backlog.extend(positions, generations, now_s, lease_s)
        self._schedule(backlog.expiry_s)
        return held

    def expire(self) -> None:
        """End the leases and backoffs whose time has come."""
        now_s = self._loop.time()
        for subscription in self._state.subscriptions.values():
            if subscription.backlog.expiry_s <= now_s:
                redelivery = Redelivery.of(subscription.settings)
                lost = subscription.backlog.expire(now_s, redelivery)
                self.counters.subscription(subscription.uid).expired += lost
                self._changed(subscription)

    def check(self, subscription: Subscription) -> None:
        """Refuse a subscription that nothing can be received from.

        Raises:
            NotFound: it was deleted.
            FailedPrecondition: it is detached, or pushed.
        """
        self._state.check_open(subscription)
        if subscription.settings.push:
            raise FailedPrecondition(
                f"{subscription.settings.name} is a push subscription: clear its push_config to"
                " receive from it."
            )

    async def wait_for_messages(
        self, subscription: Subscription, timeout_s: float | None = None
    ) -> int:
        """Wait until there may be messages; return the caller's share, 0 if the time is over."""
        try:
            return await self._bells.wait_for_messages(subscription.uid, timeout_s)
        except asyncio.CancelledError:
            self._share(subscription)  # it may have been this one's turn
            raise

    async def wait_for_room(self, subscription: Subscription, owner: int) -> None:
        """Wait until something is taken off what an owner holds."""
        await self._bells.wait_for_room(subscription.uid, owner)

    def arrived(self, subscription: Subscription) -> None:
        """Take notice of messages that were published."""
        self._share(subscription)

    def acked(self, subscription_uid: int) -> None:
        """Take notice of acks that became durable."""
        with suppress(NotFound):
            self._share(self._state.subscription_by_uid(subscription_uid))

    def ring(self, subscription_uid: int) -> None:
        """Wake all who wait at a subscription: it is not what it was."""
        self._bells.ring(subscription_uid)

    async def close(self) -> None:
        """Finish what is being settled."""
        if self._settling:
            await asyncio.wait(self._settling)

    def revive(self, subscription: Subscription, positions: Positions) -> None:
        """Deliver dead letters again that could not be forwarded."""
        redelivery = Redelivery.of(subscription.settings)
        subscription.backlog.revive(positions, self._loop.time(), redelivery)
        self._schedule(subscription.backlog.expiry_s)
        self._share(subscription)

    def _settled(self, task: asyncio.Task[Any]) -> None:
        self._settling.discard(task)
        task.exception()  # whoever waits for it has it; if nobody does, it is no fault

    async def _settle(self, subscription: Subscription, positions: Positions) -> None:
        try:
            await self._commit(subscription, positions)
        except Refusal:
            subscription.backlog.unsettle(positions)
            self._schedule(subscription.backlog.expiry_s)
            raise

    async def _commit(self, subscription: Subscription, positions: Positions) -> None:
        if positions.size and await self._commits.commit(Acked(subscription.uid, positions)):
            self.counters.subscription(subscription.uid).acked += positions.size

    def _changed(self, subscription: Subscription) -> None:
        """Act on failed deliveries."""
        if subscription.backlog.dying:
            self.dying(subscription)
        self._share(subscription)

    def _share(self, subscription: Subscription) -> None:
        backlog = subscription.backlog
        self._bells.share(subscription.uid, backlog.ready)
        self._bells.make_room(subscription.uid, backlog.relieved())


async def _as_it_is(_subscription: Subscription, delivery: Delivery) -> Delivery | None:
    return delivery


def _all_count(positions: Positions) -> Acks:
    none = np.zeros(positions.size, np.bool_)
    return Acks(none, none)
