"""A Memory, driven as a runner would, keeps the promise that de-duplication makes."""

import math

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from transforms.fingerprint import Keys
from transforms.memory import Memory

HORIZON_US = 40_000
BUCKET_US = HORIZON_US // 4

TIMES = st.integers(-300_000, 300_000)
IDS = st.lists(st.integers(0, 40), max_size=30)


def keys_of(ids: list[int]) -> Keys:
    """Return a key for each id; neighbours share a half."""
    return np.array([[number // 2, number] for number in ids], np.uint64).reshape(-1, 2)


class MemoryAgainstRows(RuleBasedStateMachine):
    """Rows one by one, in plain Python, beside a memory, its store and its timer."""

    def __init__(self) -> None:
        super().__init__()
        self.memory = Memory(HORIZON_US)
        self.store: list[bytes] = []
        self.watermark_us = -math.inf
        self.expired_us = -math.inf
        self.remembered_until_us: dict[int, int] = {}

    @rule(ids=IDS, time_us=TIMES)
    def arrive(self, ids: list[int], time_us: int) -> None:
        """A row is a duplicate if its key is remembered, else it is remembered from now on."""
        since_us = int(max(time_us, self.expired_us))
        until_us = (since_us // BUCKET_US + 1) * BUCKET_US + HORIZON_US
        expected = []
        for number in ids:
            expected.append(number not in self.remembered_until_us)
            self.remembered_until_us.setdefault(number, until_us)
        new, chunk = self.memory.admit(keys_of(ids), time_us)
        assert new.tolist() == expected
        assert bool(chunk) == any(expected)
        self.store += [chunk] if chunk else []
        self.settle()

    @rule(by_us=st.integers(1, 100_000))
    def advance(self, by_us: int) -> None:
        """The watermark moves on."""
        start_us = -300_000 if self.watermark_us == -math.inf else self.watermark_us
        self.watermark_us = start_us + by_us
        self.settle()

    def settle(self) -> None:
        """The timer fires as often as it is due: what is set for the past, at once."""
        while (due_us := self.memory.summary.due_us) <= self.watermark_us:
            self.fire(due_us)

    def fire(self, due_us: int) -> None:
        """What is over is forgotten; the store is replaced if told so."""
        replacement = self.memory.expire(due_us)
        self.store = self.store if replacement is None else list(replacement)
        self.expired_us = due_us
        for number, until_us in list(self.remembered_until_us.items()):
            if until_us <= due_us:
                del self.remembered_until_us[number]

    @rule()
    def rebuild(self) -> None:
        """The memory moves to another worker, which has the store alone, in any order."""
        self.memory = Memory.restore(HORIZON_US, self.memory.summary, self.store[::-1])

    @invariant()
    def forgets_in_time(self) -> None:
        """What is over goes, but for less than a sixteenth of the keys."""
        until = self.remembered_until_us.values()
        assert len(self.memory) == len(until)
        over = sum(until_us <= self.watermark_us for until_us in until)
        assert over == 0 or over < len(until) / 16

    @invariant()
    def stores_little(self) -> None:
        """The store holds at most two keys of 16 bytes for one that lives, and as many heads."""
        stored = sum(len(chunk) - 8 for chunk in self.store) // 16
        assert stored <= 2 * len(self.memory)


TestMemoryAgainstRows = MemoryAgainstRows.TestCase
TestMemoryAgainstRows.settings = settings(max_examples=100, stateful_step_count=30)
