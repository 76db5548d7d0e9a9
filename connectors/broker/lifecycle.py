"""The engine's part for what happens beside delivery: seek, snapshots, detach, and what time ends.

Decisions that carry a result are made when they are applied (``Commits.commit_made``), so that no
publish or ack can come between.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from contextlib import suppress

from connectors.broker import housekeeping, limits, seeking
from connectors.broker.bells import Bells
from connectors.broker.commits import Commits
from connectors.broker.compaction import Compaction
from connectors.broker.errors import FailedPrecondition, NotFound, Refusal
from connectors.broker.events import (
    Detached,
    SnapshotCreated,
    SnapshotDeleted,
    SnapshotUpdated,
)
from connectors.broker.filtering import passing
from connectors.broker.frame import Entry
from connectors.broker.need import Part, packed
from connectors.broker.settings import SnapshotSettings
from connectors.broker.state import Snapshot, State, Subscription
from connectors.broker.store import Store

__all__ = ["Lifecycle"]

_log = logging.getLogger(__name__)

_HOUSEKEEPING_S = 60.0
_PAUSE_S = 1.0
_WEEK_US = limits.SNAPSHOT_S_MAX * 1_000_000


class Lifecycle:
    """What happens to subscriptions and snapshots; use it on the event loop only."""

    def __init__(self, state: State, log: Store, commits: Commits, bells: Bells) -> None:
        self._state, self._log, self._commits, self._bells = state, log, commits, bells
        self._used: set[int] = set()
        self._sooner = asyncio.Event()
        self._compaction = Compaction(state, log, commits)
        self._keeping = asyncio.get_running_loop().create_task(self._keep_house())

    async def close(self) -> None:
        """End housekeeping."""
        self._keeping.cancel()
        with suppress(asyncio.CancelledError):
            await self._keeping

    def used(self, subscription: Subscription) -> None:
        """Note that a subscription is used, which puts off its expiration."""
        self._used.add(subscription.uid)

    async def seek_to_time(self, subscription: Subscription, time_us: int) -> None:
        """Have what was published at a time or later to deliver, as far as it is still there.

        A time in the future also discards what is published until then.

        Args:
            subscription: to seek in; its leases end.
            time_us: microseconds since 1970.

        Raises:
            NotFound: the subscription was deleted.
            FailedPrecondition: it is detached.
            Exhausted: the disk is full.
            Unavailable: the log has failed.
        """

        def make() -> list[Entry]:
            self._state.check_open(subscription)
            wanted = seeking.to_time(subscription, time_us, _now_us())
            return self._sought(subscription, wanted, time_us)

        await self._commits.commit_made(make)

    async def seek_to_snapshot(self, subscription: Subscription, snapshot: Snapshot) -> None:
        """Have what a snapshot holds to deliver.

        Raises:
            NotFound: the subscription or the snapshot was deleted.
            FailedPrecondition: the subscription is detached, or the snapshot of another topic.
            Exhausted: the disk is full.
            Unavailable: the log has failed.
        """

        def make() -> list[Entry]:
            self._state.check_open(subscription)
            self._check_exists(snapshot)
            return self._sought(subscription, seeking.to_snapshot(subscription, snapshot), 0)

        await self._commits.commit_made(make)

    async def create_snapshot(
        self, name: str, labels: dict[str, str], subscription: Subscription
    ) -> Snapshot:
        """Hold what a subscription has not acked, and all that is published from now on.

        A snapshot lives for 7 days less the age of the oldest message in it.

        Raises:
            AlreadyExists: the name is taken.
            NotFound: the subscription was deleted.
            FailedPrecondition: it is detached, or the snapshot would live less than 1 hour.
            Exhausted: the disk is full.
            Unavailable: the log has failed.
        """

        def make() -> list[Entry]:
            self._state.check_snapshot_is_new(name)
            self._state.check_open(subscription)
            settings = SnapshotSettings(name, _expire_us(subscription), labels)
            part, topic_uid = subscription.part(), subscription.topic.uid
            event = SnapshotCreated(
                secrets.randbits(63), topic_uid, settings, part.base, packed(~part.needed)
            )
            return [(event, b"")]

        await self._commits.commit_made(make)
        self._sooner.set()
        return self._state.snapshot(name)

    async def update_snapshot(self, snapshot: Snapshot, settings: SnapshotSettings) -> None:
        """Give a snapshot other labels or another time to expire; its name stays.

        Raises:
            NotFound: it was deleted.
            Exhausted: the disk is full.
            Unavailable: the log has failed.
        """

        def make() -> list[Entry]:
            self._check_exists(snapshot)
            return [(SnapshotUpdated(snapshot.uid, settings), b"")]

        await self._commits.commit_made(make)
        self._sooner.set()

    async def delete_snapshot(self, snapshot: Snapshot) -> None:
        """Let go of a snapshot and of what only it holds.

        Raises:
            NotFound: it was deleted already.
            Exhausted: the disk is full.
            Unavailable: the log has failed.
        """
        if not await self._commits.commit(SnapshotDeleted(snapshot.uid)):
            raise NotFound(f"Snapshot {snapshot.settings.name} was deleted.")

    async def detach(self, subscription: Subscription) -> None:
        """Drop the backlog of a subscription, and give it nothing any more.

        Raises:
            NotFound: it was deleted.
            Exhausted: the disk is full.
            Unavailable: the log has failed.
        """
        if not await self._commits.commit(Detached(subscription.uid)):
            raise NotFound(f"Subscription {subscription.settings.name} was deleted.")

    async def housekeep(self) -> None:
        """End what time has ended: messages, snapshots, unused subscriptions; compact the log.

        All of it goes through the log like any ack: what is freed must not be missed after a
        restart.
        """
        self._used |= {s.uid for s in self._state.subscriptions.values() if self._waits(s)}
        told = self._used.copy()
        with suppress(Refusal):  # if the log can't take it now, the next round tries again
            if used := housekeeping.used(self._state, told, _now_us()):
                await self._commits.commit(used)
            self._used -= told  # not what was used meanwhile
            await self._commits.commit_made(self._ended)
            await self._compaction.run()

    def _ended(self) -> list[Entry]:
        return [(event, b"") for event in housekeeping.ended(self._state, _now_us())]

    def _waits(self, subscription: Subscription) -> bool:
        return self._bells.awaited(subscription.uid)

    def _sought(self, subscription: Subscription, wanted: Part, time_us: int) -> list[Entry]:
        if subscription.settings.filter:
            wanted = passing(self._log, subscription, wanted)
        return [(seeking.sought(subscription, wanted, time_us), b"")]

    def _check_exists(self, snapshot: Snapshot) -> None:
        name = snapshot.settings.name
        if self._state.snapshots.get(name) is not snapshot:
            raise NotFound(f"Snapshot {name} was deleted.")

    async def _keep_house(self) -> None:
        loop = asyncio.get_running_loop()
        round_s, pause_s = loop.time() + _HOUSEKEEPING_S, 0.0
        while True:
            self._sooner.clear()
            snapshot_s = (housekeeping.due_us(self._state) - _now_us()) / 1_000_000
            left_s = max(pause_s, min(round_s - loop.time(), snapshot_s))
            sooner = asyncio.ensure_future(self._sooner.wait())
            try:  # with wait_for, a cancellation at the moment of the event would be lost
                done, _ = await asyncio.wait([sooner], timeout=left_s)
            finally:
                sooner.cancel()
            if not done:
                try:
                    await self.housekeep()
                except Exception:  # noqa: BLE001 - the broker must not be without it from then on
                    _log.exception("housekeeping has failed; the next round tries again")
                # What is due may still be there, if the log could not take its end.
                round_s, pause_s = loop.time() + _HOUSEKEEPING_S, _PAUSE_S


def _expire_us(subscription: Subscription) -> int:
    """Return when a snapshot of a subscription would expire.

    Raises:
        FailedPrecondition: too soon.
    """
    now_us = _now_us()
    oldest_us = subscription.oldest_us() or now_us
    expire_us = min(now_us, oldest_us) + _WEEK_US
    if expire_us - now_us < limits.SNAPSHOT_S_MIN * 1_000_000:
        raise FailedPrecondition(
            f"A snapshot of subscription {subscription.settings.name} would live less than 1 hour:"
            f" its oldest unacknowledged message is {(now_us - oldest_us) // 1_000_000} s old."
        )
    return expire_us


def _now_us() -> int:
    return time.time_ns() // 1_000
