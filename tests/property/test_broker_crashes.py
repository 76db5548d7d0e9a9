"""Crashes at every point of writing: what a kill or a power failure leaves, recovered and compared.

While a random history runs, a copy of the data directory is taken at each system call that changes
it: before, in the midst of, and after a write, before and after a sync, before and after a segment
is deleted. From each copy the broker is started again. It must have what the last answered
operation left, or what the one in flight was about to leave; nothing between, nothing else.

A failing seed is shown by pytest; others are tried with ``HEADRACE_CRASH_SEEDS=7,8``.
"""

import asyncio
import os
import random
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import pytest

from connectors.broker import limits, schema, wire
from connectors.broker.delivery import Want
from connectors.broker.engine import Engine
from connectors.broker.events import SubscriptionCreated, TopicCreated
from connectors.broker.log import Log
from connectors.broker.reading import fitting
from connectors.broker.settings import SubscriptionSettings, TopicSettings
from connectors.broker.state import State, Subscription
from connectors.broker.store import Durability

SEEDS = [int(seed) for seed in os.environ.get("HEADRACE_CRASH_SEEDS", "1,2,3,4").split(",")]
STEPS = 40
T = "projects/p/topics/orders"
PLAIN, ONCE, FILTERED = (f"projects/p/subscriptions/{n}" for n in ("plain", "once", "filtered"))
SETTINGS = [
    SubscriptionSettings(PLAIN, T, retention_s=600, retain_acked=True),
    SubscriptionSettings(ONCE, T, retention_s=900, exactly_once=True),
    SubscriptionSettings(FILTERED, T, retention_s=900, filter="attributes:odd"),
]
Deliverable = dict[str, list[bytes]]


class Image(NamedTuple):
    """The data directory at one moment, and during which step that was."""

    files: dict[str, bytes]
    synced_bytes: dict[str, int]
    deleted: dict[str, bytes]
    """Files whose deletion a power failure may undo."""
    step: int


@dataclass
class Recorder:
    """Takes an image of a directory at each system call that changes it."""

    directory: Path
    images: list[Image] = field(default_factory=list)
    synced_bytes: dict[str, int] = field(default_factory=dict)
    deleted: dict[str, bytes] = field(default_factory=dict)
    step: int = 0
    guard: threading.RLock = field(default_factory=threading.RLock)
    """An image is of one moment: threads of the broker write and delete at once."""

    def take(self) -> None:
        """Take an image now."""
        with self.guard:
            files = {p.name: p.read_bytes() for p in sorted(self.directory.glob("*.log"))}
            self.images.append(Image(files, dict(self.synced_bytes), dict(self.deleted), self.step))

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Take images during the block."""
        pwrite, sync, unlink = os.pwrite, os.fdatasync, Path.unlink
        self.synced_bytes = {p.name: p.stat().st_size for p in self.directory.glob("*.log")}

        def write(file: int, data: memoryview, offset: int) -> int:
            with self.guard:
                self.take()
                pwrite(file, data[: len(data) // 2], offset)
                self.take()
                written = pwrite(file, data, offset)
                self.take()
                return written

        def synced(file: int) -> None:
            with self.guard:
                sync(file)
                if name := self._name(file):
                    self.synced_bytes[name] = os.fstat(file).st_size
                self.take()

        def unlinked(path: Path, *args: Any, **options: Any) -> None:
            with self.guard:
                if path.parent == self.directory and path.suffix == ".log":
                    self.deleted[path.name] = path.read_bytes()
                unlink(path, *args, **options)
                self.take()

        with ExitStack() as patches:
            patches.enter_context(mock.patch.object(os, "pwrite", write))
            patches.enter_context(mock.patch.object(os, "fdatasync", synced))
            patches.enter_context(mock.patch.object(os, "fsync", synced))
            patches.enter_context(mock.patch.object(Path, "unlink", unlinked))
            yield

    def _name(self, file: int) -> str | None:
        number = os.fstat(file).st_ino
        names = (p.name for p in self.directory.glob("*.log") if p.stat().st_ino == number)
        return next(names, None)


class Clock:
    """A wall clock that the test moves."""

    now_us = 1_000_000_000_000

    def time_ns(self) -> int:
        """Return the time as ``time.time_ns`` does."""
        return self.now_us * 1_000


class History:
    """A random history of one engine, and what was deliverable after each of its steps."""

    def __init__(self, engine: Engine, chance: random.Random, clock: Clock) -> None:
        self.engine, self.chance, self.clock = engine, chance, clock
        self.after: list[Deliverable] = []
        self.published = 0

    async def run(self, recorder: Recorder) -> None:
        """Take all steps; what the engine does by itself now and then is one of them."""
        await self.engine.lifecycle.close()
        await self.engine.commit(TopicCreated(1, TopicSettings(T)))
        for uid, made in enumerate(SETTINGS, 2):
            await self.engine.commit(SubscriptionCreated(uid, 1, made))
        steps = [self.publish, self.publish, self.publish, self.ack, self.ack, self.ack,
                 self.seek_to_time, self.snapshot, self.seek_to_snapshot, self.tidy]  # fmt: skip
        self.after.append(deliverable(self.engine.state, self.log))
        with recorder.watching():
            for step in range(1, STEPS + 1):
                recorder.step = step
                self.clock.now_us += self.chance.choice([0, 1_000_000, 100_000_000])
                await self.chance.choice(steps)()
                self.after.append(deliverable(self.engine.state, self.log))

    @property
    def log(self) -> Log:
        """The engine's log, to read rows of."""
        log: Log = self.engine._log  # type: ignore[assignment]
        return log

    async def publish(self) -> None:
        """Publish some messages, in one request, every other one for the filter."""
        messages = []
        for _ in range(self.chance.randint(1, 3)):
            self.published += 1
            attributes = {"odd": "yes"} if self.published % 2 else {}
            data = b"%d" % self.published * self.chance.choice([1, 1, 40])
            messages.append({"data": data, "attributes": attributes})
        request = schema.message("PublishRequest")(topic=T, messages=messages).SerializeToString()
        topic = self.engine.state.topic(T)
        await self.engine.publish(topic, wire.decode("PublishRequest", request)["messages"])

    async def ack(self) -> None:
        """Lease all of a subscription, acknowledge some, give the rest back."""
        subscription = self.subscription()
        delivery = self.engine.delivery.lease(subscription, Want(1_000, 1 << 30, 600.0))
        if delivery:
            some = [self.chance.random() < 0.7 for _ in range(delivery.positions.size)]
            await self.engine.delivery.ack(
                subscription, delivery.positions[some], delivery.generation
            )
            self.engine.delivery.extend(subscription, delivery.positions, delivery.generation, 0)

    async def seek_to_time(self) -> None:
        """Seek to a moment not long ago."""
        time_us = self.clock.now_us - self.chance.choice([0, 10, 200, 700]) * 1_000_000
        await self.engine.lifecycle.seek_to_time(self.subscription(), time_us)

    async def snapshot(self) -> None:
        """Take a snapshot under a new name."""
        name = f"projects/p/snapshots/n{len(self.after)}"
        await self.engine.lifecycle.create_snapshot(name, {}, self.subscription())

    async def seek_to_snapshot(self) -> None:
        """Seek to a snapshot, which is deleted now and then."""
        snapshots = list(self.engine.state.snapshots.values())
        if snapshots and self.chance.random() < 0.3:
            await self.engine.lifecycle.delete_snapshot(snapshots[0])
        elif snapshots:
            chosen = self.chance.choice(snapshots)
            await self.engine.lifecycle.seek_to_snapshot(self.subscription(), chosen)

    async def tidy(self) -> None:
        """Forget what is too old, compact the log."""
        await self.engine.lifecycle.housekeep()

    def subscription(self) -> Subscription:
        """Return one of the subscriptions."""
        return self.engine.state.subscription(self.chance.choice([PLAIN, ONCE, FILTERED]))


def deliverable(state: State, log: Log) -> Deliverable:
    """Return the payloads of everything that is not acked, by subscription."""
    found: Deliverable = {}
    for name, subscription in state.subscriptions.items():
        part = subscription.part()
        positions = part.base + part.needed.nonzero()[0]
        found[name] = []
        if positions.size:
            batch, _ = fitting(log, subscription.topic, positions, 1 << 40)
            found[name] = batch.column("data").to_pylist()
    return found


def recovered(files: dict[str, bytes]) -> Deliverable:
    """Start from files; return what is deliverable."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        for file, data in files.items():
            (directory / file).write_bytes(data)
        log, state = Log(directory), State()
        try:
            for event in log.recover():
                state.apply(event)
            state.check_complete()
            return deliverable(state, log)
        finally:
            log.close()


def after_power_failure(image: Image, chance: random.Random) -> dict[str, bytes]:
    """Return files as a disk may have them that lost any part of what was not synced."""
    files = dict(image.files)
    for name, data in image.files.items():
        synced = image.synced_bytes.get(name, 0)
        torn = bytearray(data)
        for at in range(synced, len(torn), 64):
            if chance.random() < 0.3:
                torn[at : at + 64] = bytes(len(torn[at : at + 64]))
        files[name] = bytes(torn[: chance.choice([synced, chance.randint(synced, len(torn))])])
        if chance.random() < 0.3:
            files[name] = bytes(torn)
    for name, data in image.deleted.items():
        if chance.random() < 0.3:
            files.setdefault(name, data)
    return files


async def recorded(
    directory: Path, chance: random.Random, durability: Durability
) -> tuple[list[Deliverable], list[Image]]:
    """Run a history; return what was deliverable after each step, and the images."""
    clock = Clock()
    with mock.patch("time.time_ns", clock.time_ns):
        engine = Engine(directory, durability)
        recorder = Recorder(directory)
        try:
            history = History(engine, chance, clock)
            await history.run(recorder)
        finally:
            await engine.close()
    assert history.published > STEPS / 4
    return history.after, recorder.images


def check(seen: Deliverable, before: Deliverable, after: Deliverable, what: str) -> None:
    """Check that each subscription is as before or as after the step in flight."""
    assert set(seen) == set(before)
    for name in seen:
        assert seen[name] in (before[name], after[name]), (what, name)


@pytest.fixture
def small_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have segments that come and go, and syncs in an interval soon."""
    monkeypatch.setattr(limits, "SEGMENT_BYTES_MAX", 3_000)
    monkeypatch.setattr(limits, "SYNC_INTERVAL_S", 0.002)


@pytest.mark.usefixtures("small_segments")
@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("durability", list(Durability))
def test_kill_at_any_point_loses_nothing_and_brings_nothing_back(
    tmp_path: Path, seed: int, durability: Durability
) -> None:
    """What the system was given is in the files, whether synced or not."""
    chance = random.Random(seed)
    after, images = asyncio.run(recorded(tmp_path, chance, durability))
    assert len({name for image in images for name in image.files}) > 1
    for number, image in enumerate(images):
        step = image.step
        check(recovered(image.files), after[step - 1], after[step], f"image {number}, step {step}")


@pytest.mark.usefixtures("small_segments")
@pytest.mark.parametrize("seed", SEEDS)
def test_power_failure_at_any_point_loses_nothing_that_was_answered(
    tmp_path: Path, seed: int
) -> None:
    """What was not synced may be there in any part, and deleted files may be there again."""
    chance = random.Random(seed)
    after, images = asyncio.run(recorded(tmp_path, chance, Durability.ALWAYS))
    for number, image in enumerate(images):
        step = image.step
        files = after_power_failure(image, chance)
        check(recovered(files), after[step - 1], after[step], f"image {number}, step {step}")
