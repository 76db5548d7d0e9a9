"""Locks that are objects, on objects in memory."""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Iterator

import pytest

from connectors import lease
from connectors.lease import Lease, Seen
from tests.processes import wait_until
from transforms.errors import TransientError

PATH = "gs://bucket/lake/.lock"


class Slots:
    """Objects with generations; ``broken`` fails every call."""

    def __init__(self) -> None:
        self.objects: dict[str, Seen] = {}
        self.broken = False
        self.writes = 0
        self._guard = threading.Lock()

    def see(self, path: str) -> Seen | None:
        return self.objects.get(path)

    def replace(self, path: str, content: bytes, generation: int) -> int | None:
        with self._guard:
            self._check()
            found = self.objects.get(path)
            if (found.generation if found else 0) != generation:
                return None
            self.writes += 1
            now = dt.datetime.now(dt.timezone.utc)
            self.objects[path] = Seen(self.writes, now, content)
            return self.writes

    def discard(self, path: str, generation: int) -> None:
        with self._guard:
            self._check()
            if path in self.objects and self.objects[path].generation == generation:
                del self.objects[path]

    def _check(self) -> None:
        if self.broken:
            raise TransientError("nobody answers")

    def age(self, seconds: float) -> None:
        """Make all objects older."""
        for path, seen in self.objects.items():
            written = seen.written - dt.timedelta(seconds=seconds)
            self.objects[path] = Seen(seen.generation, written, seen.content)


@pytest.fixture
def slots(monkeypatch: pytest.MonkeyPatch) -> Iterator[Slots]:
    monkeypatch.setattr(lease, "RENEW_S", 0.02)
    yield Slots()
    for thread in threading.enumerate():
        assert not thread.name.startswith("lease "), "a lease was not released"


def held(slots: Slots, holder: str = "", wait_s: float = 0.0) -> Lease:
    found = Lease.acquire(slots, PATH, wait_s, holder)
    assert found is not None
    return found


def test_a_lock_is_held_by_one(slots: Slots) -> None:
    """Released, it is free at once, and nothing is left of it."""
    first = held(slots)
    assert Lease.acquire(slots, PATH, 0.0, "") is None
    first.release()
    assert slots.objects == {}
    held(slots).release()


def test_a_lock_is_renewed(slots: Slots) -> None:
    """However long it is held, it does not look dead."""
    lock = held(slots)
    wait_until(lambda: slots.writes >= 3, 10)
    assert Lease.acquire(slots, PATH, 0.0, "") is None
    lock.release()


def test_a_dead_holder_is_named_to_the_next(slots: Slots, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever takes over must know whom to abort."""
    monkeypatch.setattr(lease, "RENEW_S", 3600.0)
    dead = held(slots, "run-1")
    slots.age(lease.LEASE_S + 1)
    other = held(slots, "run-2")
    assert other.taken_from == "run-1"
    dead.release()
    assert PATH in slots.objects  # it was no longer his to delete
    other.release()


def test_the_former_holder_does_not_take_it_back(slots: Slots) -> None:
    """He notices at the next renewal, and leaves the object alone."""
    lost = held(slots, "run-1")
    generation = slots.objects[PATH].generation
    while slots.replace(PATH, b'{"holder":"run-2","token":"x"}', generation) is None:
        generation = slots.objects[PATH].generation
    wait_until(lambda: not lost._thread.is_alive(), 10)
    assert b"run-2" in slots.objects[PATH].content
    lost.release()
    assert b"run-2" in slots.objects[PATH].content


def test_a_failed_renewal_is_tried_again(slots: Slots) -> None:
    """A service that is gone for a while costs no lock."""
    lock = held(slots)
    slots.broken = True
    wait_until(lock._thread.is_alive, 1)
    slots.broken = False
    writes = slots.writes
    wait_until(lambda: slots.writes > writes, 10)
    lock.release()
    assert slots.objects == {}


def test_a_release_that_fails_is_no_error(slots: Slots) -> None:
    """The lock expires."""
    lock = held(slots)
    slots.broken = True
    lock.release()
    assert PATH in slots.objects


def test_waiting_ends_with_the_release(slots: Slots) -> None:
    """Within the time that was given."""
    first = held(slots)
    threading.Timer(0.1, first.release).start()
    held(slots, wait_s=10).release()


class Losing(Slots):
    """Loses the answer to every write, which its client then repeats in vain."""

    def replace(self, path: str, content: bytes, generation: int) -> int | None:
        super().replace(path, content, generation)
        return None


def test_a_lock_whose_answer_was_lost_is_ours(slots: Slots) -> None:
    """Not waited for as if another had it; whoever it was taken from is told all the same."""
    slots = Losing()
    lock = held(slots, "run-1")
    assert lock.taken_from == ""
    wait_until(lambda: slots.writes >= 3, 10)
    assert lock._thread.is_alive()
    lock.release()
    assert slots.objects == {}


def test_a_takeover_whose_answer_was_lost_names_the_former_holder(
    slots: Slots, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not ourselves, whom we would abort."""
    monkeypatch.setattr(lease, "RENEW_S", 3600.0)
    dead = held(slots, "run-1")
    losing = Losing()
    losing.objects, losing.writes = slots.objects, slots.writes
    losing.age(lease.LEASE_S + 1)
    other = held(losing, "run-2")
    assert other.taken_from == "run-1"
    other.release()
    dead.release()
