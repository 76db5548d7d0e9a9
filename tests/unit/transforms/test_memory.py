"""What de-duplication remembers, for how long, and how it is stored."""

import numpy as np
import pyarrow as pa
import pytest

from transforms.fingerprint import Keys, fingerprint
from transforms.memory import NEVER_US, START, Memory

HORIZON_US = 40_000
"""Buckets are then 10,000 microseconds wide."""


def keys(*numbers: int) -> Keys:
    """Return a key for each number."""
    return fingerprint([pa.array(numbers, pa.int64())]).keys


def admitted(memory: Memory, time_us: int, *numbers: int) -> list[bool]:
    """Return which of the keys are new at that time."""
    return memory.admit(keys(*numbers), time_us)[0].tolist()


def test_new_memory_is_at_the_start() -> None:
    """A memory that was never used has nothing to store and nothing to expire."""
    assert Memory(HORIZON_US).summary == START
    assert START.due_us == NEVER_US


def test_first_is_new_and_others_are_not() -> None:
    """Only new keys change the token; what changes nothing needs no store."""
    memory = Memory(HORIZON_US)
    assert admitted(memory, 0, 1, 2, 1) == [True, True, False]
    summary = memory.summary
    new, chunk = memory.admit(keys(2, 1), 5)
    assert new.tolist() == [False, False]
    assert chunk == b""
    assert memory.summary == summary


@pytest.mark.parametrize(
    ("time_us", "due_us"), [(0, 50_000), (9_999, 50_000), (10_000, 60_000), (-1, 40_000)]
)
def test_key_is_over_a_horizon_after_its_bucket(time_us: int, due_us: int) -> None:
    """Element times are rounded up to the end of their bucket, before 1970 as well."""
    memory = Memory(HORIZON_US)
    memory.admit(keys(1), time_us)
    assert memory.summary.due_us == due_us
    memory.expire(due_us - 1)
    assert len(memory) == 1
    memory.expire(due_us)
    assert len(memory) == 0


def test_late_key_is_remembered_from_the_last_expiry_on() -> None:
    """A key whose own time is over long since is remembered for a horizon all the same."""
    memory = Memory(HORIZON_US)
    memory.expire(1_000_000)
    assert admitted(memory, 0, 1) == [True]
    assert memory.summary.due_us == 1_050_000
    assert admitted(memory, 0, 1) == [False]


def test_watermark_never_goes_back() -> None:
    """A timer that fires late, with a time before the last expiry, changes no decision."""
    memory = Memory(HORIZON_US)
    memory.expire(1_000_000)
    memory.expire(500_000)
    assert memory.summary.watermark_us == 1_000_000


def test_horizon_is_whole_milliseconds_in_buckets() -> None:
    """Expiry falls on whole milliseconds, for Beam's timers know no others."""
    memory = Memory(1_000)
    memory.admit(keys(1), 1_234)
    assert memory.summary.due_us == 3_000


def test_expiries_are_few_over_a_long_time() -> None:
    """Keys of 90 days need some dozens of expiries and not one for each of 8,640 buckets."""
    hour_us = 3_600_000_000
    memory, expiries = Memory(hour_us), 0
    for quarter, key in enumerate(keys(*range(4 * 24 * 90))):
        memory.admit(key[None], quarter * hour_us // 4)
    while memory.summary.due_us != NEVER_US:
        memory.expire(memory.summary.due_us)
        expiries += 1
    assert len(memory) == 0
    assert expiries < 200


def test_stray_key_does_not_hold_the_others() -> None:
    """One key with a time in the far future keeps itself, and delays no other."""
    memory = Memory(HORIZON_US)
    memory.admit(keys(*range(20)), 0)
    memory.admit(keys(99), 10**15)
    assert memory.summary.due_us == 50_000
    memory.expire(50_000)
    assert len(memory) == 1


def test_store_is_replaced_when_half_of_it_is_forgotten() -> None:
    """Chunks stay until more than half of their keys are over; then few remain."""
    memory = Memory(HORIZON_US)
    memory.admit(keys(1, 2), 0)
    memory.admit(keys(3), 10_000)
    memory.admit(keys(4), 20_000)
    assert memory.expire(50_000) is None
    remaining = memory.expire(60_000)
    assert remaining is not None
    restored = Memory.restore(HORIZON_US, memory.summary, list(remaining))
    assert len(restored) == 1
    assert admitted(restored, 20_000, 4, 3) == [False, True]


def test_empty_memory_stores_nothing() -> None:
    """When all is forgotten the store is emptied."""
    memory = Memory(HORIZON_US)
    memory.admit(keys(1), 0)
    remaining = memory.expire(50_000)
    assert remaining is not None
    assert list(remaining) == []
    assert memory.summary.due_us == NEVER_US


def test_chunks_are_small_enough_for_a_store() -> None:
    """A replaced store comes in chunks of a megabyte, not in one value of any size."""
    memory = Memory(HORIZON_US)
    many = np.random.default_rng(1).integers(0, 2**64, (300_000, 2), np.uint64)
    memory.admit(many[:160_000], 0)
    memory.admit(many[160_000:], 10_000)
    chunks = list(memory.expire(50_000) or [])
    assert max(map(len, chunks)) <= 8 + 16 * 2**16
    assert len(Memory.restore(HORIZON_US, memory.summary, chunks)) == 140_000


def test_restored_memory_skips_what_is_over() -> None:
    """Chunks that outlived their keys don't bring them back."""
    memory = Memory(HORIZON_US)
    chunks = [memory.admit(keys(number), number * 10_000)[1] for number in range(4)]
    assert memory.expire(50_000) is None
    restored = Memory.restore(HORIZON_US, memory.summary, chunks)
    assert len(restored) == 3
    assert admitted(restored, 30_000, 0, 1) == [True, False]


def test_store_survives_a_change_of_the_horizon() -> None:
    """A pipeline may be updated with another horizon: buckets are stored by their time."""
    memory = Memory(HORIZON_US)
    chunk = memory.admit(keys(1), 0)[1]
    longer = Memory.restore(10 * HORIZON_US, memory.summary, [chunk])
    longer.expire(50_000)
    assert admitted(longer, 0, 1) == [False]
    longer.expire(10_000 + 10 * HORIZON_US)
    assert len(longer) == 0


def test_token_tells_what_happened() -> None:
    """Equal histories have equal tokens, others do not: order, time and expiry count."""
    histories = [
        [(0, 1), (0, 2)],
        [(0, 2), (0, 1)],
        [(0, 1)],
        [(10_000, 1), (0, 2)],
    ]
    tokens = []
    for history in histories:
        first, second = Memory(HORIZON_US), Memory(HORIZON_US)
        for memory in (first, second):
            for time_us, number in history:
                memory.admit(keys(number), time_us)
        assert first.summary == second.summary
        tokens.append(first.summary.token)
        second.expire(1)
        tokens.append(second.summary.token)
    assert len(set(tokens)) == len(tokens)
