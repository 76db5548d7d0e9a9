"""The table finds keys in a log, also where blocks are full and tags are equal."""

import numpy as np

from transforms.fingerprint import Keys
from transforms.key_table import KeyTable, equal


def in_one_block(count: int) -> Keys:
    """Return distinct keys with the same home block and the same tag."""
    return np.array([[5, number] for number in range(count)], np.uint64)


def numbered(keys: Keys) -> np.ndarray:
    """Return the places of keys that are a log."""
    return np.arange(len(keys), dtype=np.uint32)


def test_empty_table_finds_nothing() -> None:
    """Not even the key of zeros, which looks like an empty slot."""
    zero = np.zeros((1, 2), np.uint64)
    assert KeyTable(10).find(zero, zero).tolist() == [-1]


def test_keys_of_one_block_overflow_into_the_next() -> None:
    """Eight keys fit a block; the others follow, and each is found at its own place."""
    table, keys = KeyTable(20), in_one_block(20)
    table.insert(keys, numbered(keys))
    slots = table.find(keys, keys)
    assert len(set(slots.tolist())) == 20
    assert table.places[slots].tolist() == list(range(20))


def test_equal_tag_is_not_an_equal_key() -> None:
    """A key that shares block and tag with others, but isn't there, is not found."""
    table, keys = KeyTable(20), in_one_block(9)
    table.insert(keys[:8], numbered(keys[:8]))
    assert table.find(keys[8:], keys).tolist() == [-1]


def test_place_may_be_moved() -> None:
    """A key whose place is overwritten is found at its new place in the log."""
    table, log = KeyTable(4), in_one_block(4)
    table.insert(log[:1], np.array([0], np.uint32))
    log[3] = log[0]
    table.places[table.find(log[:1], log)] = 3
    assert table.places[table.find(log[3:], log)].tolist() == [3]


def test_capacity_is_at_least_what_was_asked_for() -> None:
    """A table has room for as many keys as were announced, at five bytes a slot."""
    for capacity in (0, 1, 4, 5, 6, 512, 1_000_000):
        table = KeyTable(capacity)
        assert capacity <= table.capacity <= capacity + 8
        assert table.nbytes <= 5 * (table.capacity / 0.625 + 8)


def test_keys_are_compared_whole() -> None:
    """Keys are equal if both halves are."""
    some = np.array([[1, 2], [1, 3], [4, 2], [0, 0]], np.uint64)
    other = np.array([[1, 2], [1, 2], [1, 2], [0, 0]], np.uint64)
    assert equal(some, other).tolist() == [True, False, False, True]
