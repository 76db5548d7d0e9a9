"""Who is woken, for how much."""

import asyncio
from collections.abc import Awaitable, Callable

from connectors.broker.bells import EVERYTHING, Bells

UID = 7


def run(test: Callable[[Bells], Awaitable[None]]) -> None:
    """Run a test on an event loop."""
    asyncio.run(asyncio.wait_for(test(Bells()), 10))  # type: ignore[arg-type]


async def waiting(bells: Bells, count: int) -> list[asyncio.Task[int]]:
    """Return so many who wait for messages."""
    tasks = [asyncio.create_task(bells.wait_for_messages(UID, None)) for _ in range(count)]
    await asyncio.sleep(0)
    return tasks


def test_messages_are_shared_alike() -> None:
    """Rounded up, so that nothing is left over."""

    async def test(bells: Bells) -> None:
        tasks = await waiting(bells, 3)
        bells.share(UID, 7)
        assert await asyncio.gather(*tasks) == [3, 3, 3]

    run(test)


def test_no_more_are_woken_than_there_are_messages() -> None:
    """Those who came first; the others wait on."""

    async def test(bells: Bells) -> None:
        tasks = await waiting(bells, 3)
        bells.share(UID, 2)
        assert await asyncio.gather(*tasks[:2]) == [1, 1]
        assert not tasks[2].done()
        bells.share(UID, 5)
        assert await tasks[2] == 5

    run(test)


def test_room_is_for_its_owner() -> None:
    """Messages wake nobody who has no room."""

    async def test(bells: Bells) -> None:
        tasks = [asyncio.create_task(bells.wait_for_room(UID, owner)) for owner in (1, 2)]
        await asyncio.sleep(0)
        bells.share(UID, 9)
        bells.make_room(UID, {2, 3})
        await tasks[1]
        assert not tasks[0].done()
        assert bells.awaited(UID)
        bells.ring(UID)
        await tasks[0]
        assert not bells.awaited(UID)

    run(test)


def test_ring_wakes_all() -> None:
    """For as much as they like."""

    async def test(bells: Bells) -> None:
        tasks = await waiting(bells, 2)
        bells.ring(UID)
        assert await asyncio.gather(*tasks) == [EVERYTHING, EVERYTHING]

    run(test)


def test_time_runs_out() -> None:
    """Who waited in vain is told so, and is not waiting any more."""

    async def test(bells: Bells) -> None:
        assert await bells.wait_for_messages(UID, 0.01) == 0
        assert not bells.awaited(UID)

    run(test)
