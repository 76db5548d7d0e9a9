"""A SeenSet does what a dict from key to bucket does, whatever the keys."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from transforms.fingerprint import Keys
from transforms.key_table import KeyTable
from transforms.seen import SeenSet, first_occurrences

TOP = 2**64 - 1

# Few halves, so that keys meet in one half but not in the other, share home blocks and tags,
# and sit at both ends of the table; and some halves of any value.
HALVES = st.sampled_from([0, 1, 2, 0x7F, 0x80, 0xFF, 2**32, 2**63, TOP - 1, TOP])
KEY = st.tuples(HALVES | st.integers(0, TOP), HALVES)
KEYS = st.lists(KEY, max_size=60)
SEEDS = st.integers(0, 2**32)
BUCKETS = st.integers(-3, 6) | st.sampled_from([-(2**62), 2**62])


def keys_of(pairs: list[tuple[int, int]]) -> Keys:
    """Return the pairs as an array."""
    return np.array(pairs, np.uint64).reshape(-1, 2)


def random_keys(seed: int, count: int) -> Keys:
    """Return uniform keys, most of them distinct from those of other seeds."""
    return np.random.default_rng(seed).integers(0, TOP, (count, 2), np.uint64, endpoint=True)


def pairs_of(keys: Keys) -> list[tuple[int, int]]:
    """Return the array as pairs."""
    return [(low, high) for low, high in keys.tolist()]


class SeenSetAgainstDict(RuleBasedStateMachine):
    """Any sequence of adding, forgetting and moving to another set."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = SeenSet()
        self.model: dict[tuple[int, int], int] = {}

    def add(self, keys: Keys, bucket: int) -> None:
        """Add to both and compare what was new."""
        expected = []
        for pair in pairs_of(keys):
            expected.append(pair not in self.model)
            self.model.setdefault(pair, bucket)
        assert self.seen.add(keys, bucket).tolist() == expected

    @rule(pairs=KEYS, bucket=BUCKETS)
    def add_crafted(self, pairs: list[tuple[int, int]], bucket: int) -> None:
        """Add keys that collide."""
        self.add(keys_of(pairs), bucket)

    @rule(seed=st.integers(0, 5), count=st.integers(0, 700), bucket=BUCKETS)
    def add_many(self, seed: int, count: int, bucket: int) -> None:
        """Add so many that the table grows; the same seed repeats the same keys."""
        self.add(random_keys(seed, count), bucket)

    @rule(pairs=KEYS, seed=st.integers(0, 5))
    def look(self, pairs: list[tuple[int, int]], seed: int) -> None:
        """Ask for keys, which adds none."""
        keys = np.concatenate([keys_of(pairs), random_keys(seed, 50)])
        assert self.seen.holds(keys).tolist() == [pair in self.model for pair in pairs_of(keys)]

    @rule(before=BUCKETS)
    def expire(self, before: int) -> None:
        """Forget the older buckets."""
        gone = [pair for pair, bucket in self.model.items() if bucket < before]
        assert self.seen.expire(before) == len(gone)
        for pair in gone:
            del self.model[pair]

    @rule()
    def move(self) -> None:
        """Export every bucket as bytes and import it elsewhere, the youngest first."""
        moved = SeenSet()
        for bucket in reversed(self.seen.counts):
            raw = self.seen.keys_of(bucket).tobytes()
            assert moved.add(np.frombuffer(raw, np.uint64).reshape(-1, 2), bucket).all()
        self.seen = moved

    @invariant()
    def same_content(self) -> None:
        """Both hold the same keys in the same buckets."""
        counts = self.seen.counts
        assert list(counts) == sorted(set(self.model.values()))
        assert len(self.seen) == len(self.model)
        held = {pair: age for age in counts for pair in pairs_of(self.seen.keys_of(age))}
        assert held == self.model


TestSeenSetAgainstDict = SeenSetAgainstDict.TestCase
TestSeenSetAgainstDict.settings = settings(max_examples=50, stateful_step_count=25)


@given(KEYS)
def test_first_occurrences(pairs: list[tuple[int, int]]) -> None:
    """A row is a first occurrence if no row before it has its key."""
    expected = [pair not in pairs[:row] for row, pair in enumerate(pairs)]
    assert first_occurrences(keys_of(pairs)).tolist() == expected


@given(st.lists(KEY, max_size=200, unique=True), st.lists(KEY, max_size=50), st.integers(1, 50))
def test_table_finds_what_was_inserted(
    held: list[tuple[int, int]], others: list[tuple[int, int]], step: int
) -> None:
    """Every key is found at its place and no other, in a table as full as may be."""
    log, table = keys_of(held), KeyTable(len(held))
    for start in range(0, len(held), step):
        part = log[start : start + step]
        table.insert(part, np.arange(start, start + len(part), dtype=np.uint32))
    slots = table.find(log, log)
    assert table.places[slots].tolist() == list(range(len(held)))
    absent = keys_of([pair for pair in others if pair not in held])
    assert (table.find(absent, log) == -1).all()
