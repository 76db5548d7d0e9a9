"""Group commit: one sync of the log serves all events that gathered during the one before.

An event reaches the state only after its sync: what is delivered is durable. Writing and syncing
run in a thread of their own, so that the event loop goes on meanwhile.

Events are applied in the order in which their commits were called. An event that carries the
result of a decision, such as a seek, is made when all before it are applied, and begins a group of
its own: what it was decided on is what it is applied to.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import NamedTuple

import msgspec

from connectors.broker import limits
from connectors.broker.errors import Exhausted, Refusal
from connectors.broker.events import Event, Moved, Place, Published
from connectors.broker.frame import Entry
from connectors.broker.state import State
from connectors.broker.store import Store

__all__ = ["Commits"]

_logger = logging.getLogger(__name__)


class _Waiting(NamedTuple):
    bundle: list[Entry]
    make: Callable[[], list[Entry]] | None
    done: asyncio.Future[list[bool]]


class Commits:
    """The way of every event into the log and then into the state.

    Args:
        log: recovered, and written by nobody else.
        state: changed by nobody else.
        applied: called with each event that the state has taken.
    """

    def __init__(self, log: Store, state: State, applied: Callable[[Event], None]) -> None:
        self._log, self._state, self._applied = log, state, applied
        self._loop = asyncio.get_running_loop()
        self._writer = ThreadPoolExecutor(1, "broker-log")
        self._pending: list[_Waiting] = []
        self._committing: asyncio.Task[None] | None = None
        self._syncing: asyncio.Task[None] | None = None
        self._crowded = False

    async def close(self) -> None:
        """Finish what has been begun."""
        if self._committing:
            await self._committing
        if self._syncing:
            self._syncing.cancel()
        with suppress(Refusal):  # a failed log was told to those whose events it did not take
            await self._loop.run_in_executor(self._writer, self._log.sync)
        self._writer.shutdown()

    async def commit(self, event: Event, payload: bytes | memoryview = b"") -> bool:
        """Make an event durable and apply it; return False if what it was about is gone.

        Raises:
            Exhausted: the disk is full; nothing happened.
            Unavailable: the log has failed.
        """
        (applied,) = await self._enter([(event, payload)])
        return applied

    async def commit_all(self, bundle: list[Entry]) -> list[bool]:
        """Make events durable that belong together, and apply them with nothing in between.

        Whatever happens, all of them are in the log or none. They are applied in their order.

        Returns:
            For each, False if what it was about is gone.

        Raises:
            Exhausted: the disk is full; nothing happened.
            Unavailable: the log has failed.
        """
        return await self._enter(bundle)

    async def commit_made(self, make: Callable[[], list[Entry]]) -> list[bool]:
        """Commit a bundle that is made when everything before it is applied, and nothing after.

        An empty one is not written.

        Raises:
            Refusal: as ``make`` raised it, or as ``commit_all`` does.
        """
        return await self._enter([], make)

    async def make_room(self) -> None:
        """Begin a new segment early, for the one in use is kept even when all of it is acked."""
        if self._log.size_bytes < limits.SEGMENT_BYTES_MIN:
            return
        self._crowded = True
        if self._committing is None:
            self._committing = self._loop.create_task(self._drain())
        await asyncio.wait([self._committing])

    async def _enter(
        self, bundle: list[Entry], make: Callable[[], list[Entry]] | None = None
    ) -> list[bool]:
        done: asyncio.Future[list[bool]] = self._loop.create_future()
        self._pending.append(_Waiting(bundle, make, done))
        if self._committing is None:
            self._committing = self._loop.create_task(self._drain())
        return await done

    async def _drain(self) -> None:
        try:
            while self._pending or self._crowded:
                if self._crowded or self._log.size_bytes > limits.SEGMENT_BYTES_MAX:
                    await self._rotate()
                group = self._next_group()
                try:
                    await self._commit_group(group)
                except Exception as error:  # noqa: BLE001 - those who wait must hear of it
                    _fail(group, error)
                self._log.release(self._state.reclaim())
                self._sync_soon()
        except Exception as error:
            _logger.exception("commits stop here")  # such as by a segment that can't be deleted
            waiting, self._pending = self._pending, []
            _fail(waiting, error)  # nobody else would come back to them
        finally:
            self._committing = None

    def _sync_soon(self) -> None:
        """Have the log synced within the interval, where that is not done with each write."""
        if self._syncing is None and not self._log.synced:
            self._syncing = self._loop.create_task(self._sync_later())

    async def _sync_later(self) -> None:
        await asyncio.sleep(limits.SYNC_INTERVAL_S)
        try:
            with suppress(Refusal):  # the next write is refused with the reason
                await self._loop.run_in_executor(self._writer, self._log.sync)
                self._log.release([])
        finally:
            self._syncing = None
        if self._log.failure is None:
            self._sync_soon()

    def _next_group(self) -> list[_Waiting]:
        """Take what waits, up to the next event that is to be made; make the first if need be."""
        stops = (n for n, each in enumerate(self._pending) if n and each.make)
        stop = next(stops, len(self._pending))
        group, self._pending = self._pending[:stop], self._pending[stop:]
        if group and group[0].make:
            try:
                group[0] = group[0]._replace(bundle=group[0].make())
            except Exception as error:  # noqa: BLE001 - the one who waits must hear of it
                _fail(group[:1], error)
                del group[0]
        return group

    async def _commit_group(self, group: list[_Waiting]) -> None:
        """Commit events together; if there is no room for all, each that finds room by itself."""
        if not group:
            return
        try:
            await self._write(group)
        except Exhausted as full:
            if len(group) == 1:
                _fail(group, full)
            else:
                for each in group:
                    await self._commit_group([each])

    async def _rotate(self) -> None:
        self._crowded = False
        checkpoint = self._state.checkpoint()
        try:
            await self._loop.run_in_executor(self._writer, self._log.rotate, checkpoint)
        except Refusal:
            return  # the old segment serves on, and what needs less room may yet be written
        self._state.sweep()
        self._log.release(self._state.reclaim())

    async def _write(self, group: list[_Waiting]) -> None:
        bundles = [each.bundle for each in group if each.bundle]
        written = []
        if bundles:
            written = await self._loop.run_in_executor(self._writer, self._log.write, bundles)
        places = iter(written)
        for each in group:
            entries = zip(each.bundle, next(places) if each.bundle else [], strict=True)
            applied = [self._apply(event, place) for (event, _), place in entries]
            if not each.done.done():
                each.done.set_result(applied)

    def _apply(self, event: Event, place: Place) -> bool:
        if isinstance(event, (Published, Moved)):
            event = msgspec.structs.replace(event, place=place)
        applied = self._state.apply(event)
        if isinstance(event, (Published, Moved)):
            self._log.keep(place)
            if not applied:
                self._log.release([place])
        self._applied(event)
        return applied


def _fail(group: list[_Waiting], error: Exception) -> None:
    for each in group:
        if not each.done.done():
            each.done.set_exception(error)
