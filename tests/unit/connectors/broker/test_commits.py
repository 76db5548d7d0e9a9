"""Group commit: who waits is told, whatever happens."""

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest

from connectors.broker import limits
from connectors.broker.commits import Commits
from connectors.broker.events import Checkpoint, Place, TopicCreated
from connectors.broker.memory import MemoryLog
from connectors.broker.settings import TopicSettings
from connectors.broker.state import State


class Stuck(MemoryLog):
    """A log that fails once to let go of what nobody needs, and one that syncs later."""

    def __init__(self, faults: int = 1) -> None:
        super().__init__()
        self.faults, self.syncs = faults, 0

    def sync(self) -> None:
        """Count."""
        self.syncs += 1

    def release(self, places: Iterable[Place]) -> None:
        """Fail as a file does that can't be deleted."""
        if self.faults:
            self.faults -= 1
            raise PermissionError("a segment")
        super().release(places)


def topic(uid: int) -> TopicCreated:
    """Return the event of a topic."""
    return TopicCreated(uid, TopicSettings(f"projects/p/topics/t{uid}"))


def test_nobody_waits_for_ever_when_a_segment_stays() -> None:
    """What was written counts; who comes behind is told why, and the next one is served."""

    async def test() -> None:
        state = State()
        state.apply(Checkpoint(1, [], []))
        commits = Commits(Stuck(), state, lambda _: None)
        loop = asyncio.get_running_loop()
        first = loop.create_task(commits.commit(topic(1)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)  # it is with the writer, and the next one is of another group
        second = loop.create_task(commits.commit(topic(2)))
        assert await first
        with pytest.raises(PermissionError):
            await second
        assert await commits.commit(topic(3))
        assert sorted(state.topics) == [topic(uid).settings.name for uid in (1, 3)]
        await commits.close()

    run(test())


def test_syncing_goes_on_when_a_segment_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else what is answered would never be durable again."""
    monkeypatch.setattr(limits, "SYNC_INTERVAL_S", 0.01)

    async def test() -> None:
        state, log = State(), Stuck(0)
        state.apply(Checkpoint(1, [], []))
        log.synced = False
        commits = Commits(log, state, lambda _: None)
        await commits.commit(topic(1))
        log.faults = 1
        while log.faults:
            await asyncio.sleep(0.01)
        await commits.commit(topic(2))
        while log.syncs < 2:
            await asyncio.sleep(0.01)
        log.synced = True
        await commits.close()

    run(test())


def run(test: Any) -> None:
    """Run a test on an event loop."""
    bounded: Any = asyncio.wait_for(test, 10)
    asyncio.run(bounded)
