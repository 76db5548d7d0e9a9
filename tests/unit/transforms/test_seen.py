"""What the set of seen keys promises, case by case."""

import numpy as np
import pytest

from transforms.fingerprint import Keys
from transforms.seen import SeenSet, first_occurrences


def random_keys(seed: int, count: int) -> Keys:
    """Return uniform keys."""
    return np.random.default_rng(seed).integers(0, 2**64, (count, 2), np.uint64)


def same_half(count: int, half: int = 7) -> Keys:
    """Return distinct keys that are equal in their first half."""
    return np.array([[half, number] for number in range(count)], np.uint64)


def test_new_set_is_empty() -> None:
    """Nothing is held, and nothing is known."""
    seen = SeenSet()
    assert len(seen) == 0
    assert seen.counts == {}
    assert len(seen.keys_of(1)) == 0


def test_key_is_new_once() -> None:
    """A key is new the first time, in whatever bucket it comes again."""
    seen, keys = SeenSet(), random_keys(1, 100)
    assert seen.add(keys, 1).all()
    assert not seen.add(keys, 1).any()
    assert not seen.add(keys, 2).any()
    assert seen.counts == {1: 100}


def test_first_of_a_batch_is_the_new_one() -> None:
    """Within one array the first of equal keys is new, the others are not."""
    keys = random_keys(1, 2)[[0, 1, 0, 0, 1]]
    assert SeenSet().add(keys, 1).tolist() == [True, True, False, False, False]
    assert first_occurrences(keys).tolist() == [True, True, False, False, False]


def test_keys_that_share_a_half_are_different() -> None:
    """All 128 bits count: keys equal in 64 of them live side by side."""
    seen, keys = SeenSet(), same_half(200)
    assert seen.add(keys[:100], 1).all()
    assert seen.add(keys, 1).tolist() == [False] * 100 + [True] * 100
    assert not seen.add(keys, 1).any()


@pytest.mark.parametrize("half", [0, 2**64 - 1])
def test_keys_at_the_ends_of_the_table(half: int) -> None:
    """Keys whose home is the first or the last block overflow into others and are found."""
    seen, keys = SeenSet(), same_half(50, half)
    assert seen.add(keys, 1).all()
    assert not seen.add(keys[::-1], 1).any()


def test_key_of_zeros_is_a_key() -> None:
    """The key that looks like an empty slot is unknown until it is added."""
    seen, zero = SeenSet(), np.zeros((1, 2), np.uint64)
    assert seen.add(zero, 1).tolist() == [True]
    assert seen.add(zero, 1).tolist() == [False]


def test_expiry_forgets_older_buckets_only() -> None:
    """Keys below the bound are new again, others are still known."""
    seen, old, young = SeenSet(), random_keys(1, 10), random_keys(2, 10)
    seen.add(old, 1)
    seen.add(young, 2)
    assert seen.expire(2) == 10
    assert seen.counts == {2: 10}
    assert not seen.add(young, 2).any()
    assert seen.add(old, 2).all()


def test_forgotten_key_comes_back_in_its_new_bucket() -> None:
    """A key that returns before its room was reclaimed lives as long as its new bucket."""
    seen, keys = SeenSet(), random_keys(1, 10)
    seen.add(random_keys(2, 100), 9)
    seen.add(keys, 1)
    seen.expire(2)
    assert seen.add(keys, 5).all()
    assert not seen.add(keys, 5).any()
    assert seen.expire(5) == 0
    assert seen.expire(6) == 10
    assert seen.add(keys, 9).all()


def test_bucket_may_come_back_after_its_expiry() -> None:
    """A bucket that was forgotten may be filled again, with its former keys or others."""
    seen, keys = SeenSet(), random_keys(1, 10)
    seen.add(random_keys(2, 100), 9)
    seen.add(keys, 1)
    seen.expire(2)
    assert seen.add(keys[:4], 1).all()
    assert seen.counts == {1: 4, 9: 100}


def test_growth_keeps_everything() -> None:
    """Keys survive the many times that the table is built anew."""
    seen, keys = SeenSet(), random_keys(1, 50_000)
    for bucket, start in enumerate(range(0, len(keys), 700)):
        assert seen.add(keys[start : start + 700], bucket).all()
    assert not seen.add(keys, 0).any()
    assert seen.keys_of(3).tolist() == keys[2100:2800].tolist()


@pytest.mark.parametrize("count", [20_000, 50_000, 100_000])
def test_memory_per_key(count: int) -> None:
    """A key of a small set costs 28 to 52 bytes, wherever between two growths the set is."""
    seen = SeenSet()
    for start in range(0, count, 1_000):
        seen.add(random_keys(start, 1_000), 1)
    assert 28 <= seen.nbytes / len(seen) <= 52.5


def test_memory_is_bounded_by_what_is_alive() -> None:
    """A window of keys that slides for long takes no more than twice the room of its keys."""
    seen = SeenSet()
    for bucket in range(200):
        seen.add(random_keys(bucket, 1_000), bucket)
        seen.expire(bucket - 4)
    assert len(seen) == 5_000
    assert seen.nbytes / len(seen) < 72
