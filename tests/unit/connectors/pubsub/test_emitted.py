"""Sets of messages, hashed or not."""

from __future__ import annotations

import pyarrow as pa
import pytest

from connectors.identity import IDENTITY_SCHEMA, identity_keys
from connectors.pubsub.emitted import Emitted
from tests.conftest import message_batch


def identities(first: int, count: int) -> pa.RecordBatch:
    """Return the identities of messages with ids from ``first`` on."""
    batch = message_batch([b"payload" * 100] * count, first)
    return batch.select(IDENTITY_SCHEMA.names).rows


def held(emitted: Emitted, first: int, count: int) -> list[bool]:
    """Return which messages are in the set."""
    return emitted.holds(identity_keys(identities(first, count))).tolist()


def test_messages_are_found_however_they_came() -> None:
    """Appended unseen, added with a look, or decoded: they are held."""
    emitted = Emitted()
    emitted.append(identities(1, 2))
    assert emitted.add(identities(2, 3)).tolist() == [False, True, True]
    emitted.append(identities(10, 1))
    assert len(emitted) == 5
    for each in (emitted, Emitted.decode(emitted.encode())):
        assert held(each, 0, 12) == [False, *[True] * 4, *[False] * 5, True, False]
        assert each.messages().column("message_id").to_pylist() == ["1", "2", "3", "4", "10"]


def test_of_equal_messages_the_first_is_new() -> None:
    """A delivery may hold a message twice."""
    twice = pa.concat_batches([identities(1, 1), identities(1, 1)])
    assert Emitted().add(twice).tolist() == [True, False]


def test_the_encoding_follows_the_messages() -> None:
    """What is added later is in the next encoding; encoding twice gives the same bytes."""
    emitted = Emitted()
    emitted.append(identities(1, 1))
    before = emitted.encode()
    assert emitted.encode() == before
    emitted.append(identities(2, 1))
    assert len(Emitted.decode(emitted.encode())) == 2


def test_without_leaves_the_others() -> None:
    """Some of a set can be taken out; the set itself stays."""
    emitted = Emitted()
    emitted.append(identities(1, 5))
    fewer = emitted.without(identity_keys(identities(2, 2)))
    assert held(fewer, 1, 5) == [True, False, False, True, True]
    assert len(emitted) == 5
    assert not len(emitted.without(identity_keys(identities(1, 5))))


@pytest.mark.parametrize(("count", "bytes_max"), [(1, 1_500), (60_000, 120_000)])
def test_a_message_takes_a_few_bytes(count: int, bytes_max: int) -> None:
    """What is committed with every bundle is small, and holds no payload."""
    emitted = Emitted()
    emitted.append(identities(1_000_000, count))
    assert len(emitted.encode()) <= bytes_max
