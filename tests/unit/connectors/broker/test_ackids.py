"""Ack ids and lease ids: there and back, and nothing garbled gets through."""

import base64

import numpy as np
import pyarrow as pa
import pytest

from connectors.broker import ackids, limits
from connectors.broker.errors import InvalidArgument

UID = (1 << 63) - 12_345
POSITIONS = np.array([0, 1, 7, 1 << 40])


def test_ack_ids_come_back_as_they_went() -> None:
    """An ack id carries position and generation, at a fixed width."""
    ids = ackids.pack(UID, POSITIONS, 77)
    positions, generations = ackids.parse(ids, UID)
    assert positions.tolist() == POSITIONS.tolist()
    assert generations.tolist() == [77] * 4
    assert {len(text) for text in ids.to_pylist()} == {32}
    assert len(set(ids.to_pylist())) == 4


def test_slice_of_ack_ids_is_parsed_alone() -> None:
    """A sliced column is read at its offset."""
    positions, _ = ackids.parse(ackids.pack(UID, POSITIONS, 1).slice(2, 1), UID)
    assert positions.tolist() == [7]


def test_no_ack_ids_are_no_positions() -> None:
    """An empty column is fine: a stream's request may carry none."""
    positions, generations = ackids.parse(pa.array([], pa.string()), UID)
    assert positions.size == generations.size == 0


@pytest.mark.parametrize("garbled", ["", "x", "projects/p/subscriptions/s:1", "A" * 32, "=" * 32,
                                     "é" * 16, "A" * 31 + "="])  # fmt: skip
def test_malformed_ack_id_is_refused(garbled: str) -> None:
    """One bad id among good ones refuses the request."""
    ids = pa.array([*ackids.pack(UID, POSITIONS, 1).to_pylist(), garbled])
    with pytest.raises(InvalidArgument, match="ack_ids"):
        ackids.parse(ids, UID)


def test_every_changed_character_is_noticed() -> None:
    """The check sum covers subscription, position, generation and itself."""
    good = ackids.pack(UID, POSITIONS[3:], 5)[0].as_py()
    for at, char in enumerate(good):
        bad = good[:at] + ("A" if char != "A" else "B") + good[at + 1 :]
        with pytest.raises(InvalidArgument):
            ackids.parse(pa.array([bad]), UID)


def test_ack_id_of_another_subscription_is_refused() -> None:
    """Positions mean nothing in another subscription."""
    with pytest.raises(InvalidArgument, match="another subscription"):
        ackids.parse(ackids.pack(UID, POSITIONS, 1), UID + 1)


@pytest.mark.parametrize("positions", [[5], [5, 6, 7], [0, 2, 3, 9], [1, 3, 5]])
def test_lease_ids_come_back_as_they_went(positions: list[int]) -> None:
    """A lease id carries the subscription, the generation and all positions."""
    lease = ackids.parse_lease(ackids.pack_lease(UID, np.array(positions), 9))
    assert (lease.subscription, lease.generation) == (UID, 9)
    assert lease.positions.tolist() == positions


def test_lease_of_consecutive_positions_is_short() -> None:
    """A range costs the same whatever its length."""
    assert len(ackids.pack_lease(UID, np.arange(16_384), 9)) < 50


def test_lease_of_more_than_is_leased_is_refused() -> None:
    """Somebody has made it up: a few bytes may not stand for all the memory there is."""
    most = limits.LEASE_MESSAGES_MAX
    assert ackids.parse_lease(ackids.pack_lease(UID, np.arange(most), 9)).positions.size == most
    with pytest.raises(InvalidArgument, match="too many"):
        ackids.parse_lease(ackids.pack_lease(UID, np.arange(most + 1), 9))


def test_changed_byte_of_a_lease_is_noticed() -> None:
    """The ranges are covered by a check sum as well as the head."""
    raw = base64.b64decode(ackids.pack_lease(UID, np.array([1, 2, 5]), 9))
    for at in range(len(raw)):
        bad = raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :]
        with pytest.raises(InvalidArgument):
            ackids.parse_lease(base64.b64encode(bad).decode())


@pytest.mark.parametrize("garbled", ["", "x", "é", "AAAA", "A" * 40])
def test_malformed_lease_is_refused(garbled: str) -> None:
    """What is no lease id is an invalid argument, not a crash."""
    with pytest.raises(InvalidArgument, match="leases"):
        ackids.parse_lease(garbled)
