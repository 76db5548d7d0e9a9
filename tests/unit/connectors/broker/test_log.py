"""The log: what was written is there again, what was torn is not, what was harmed is an error."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from connectors.broker import limits
from connectors.broker.errors import CorruptLog, DataDirInUse, Exhausted, Unavailable
from connectors.broker.events import (
    Acked,
    Checkpoint,
    Event,
    Place,
    Published,
    Skipped,
    SubscriptionCreated,
    SubscriptionDeleted,
    TopicCreated,
    TopicDeleted,
)
from connectors.broker.frame import Entry
from connectors.broker.log import Log
from connectors.broker.settings import SubscriptionSettings, TopicSettings

EMPTY = Checkpoint(1, [], [])
TOPIC = TopicCreated(11, TopicSettings("projects/p/topics/abc", {"l": "é"}))
SUBSCRIPTION = SubscriptionCreated(
    22, 11, SubscriptionSettings("projects/p/subscriptions/abc", "projects/p/topics/abc")
)


def published(first_id: int = 1, count: int = 3) -> Published:
    """Return a publish to the topic."""
    return Published(11, first_id, count, 1_700_000_000_000_000)


def reopened(directory: Path) -> tuple[Log, list[Event]]:
    """Open a log and return it with the events that it recovered."""
    log = Log(directory)
    try:
        return log, list(log.recover())
    except CorruptLog:
        log.close()
        raise


def write(log: Log, entries: list[Entry]) -> list[Place]:
    """Write events, each for itself but synced together; return where their payloads are."""
    return [place for (place,) in log.write([[entry] for entry in entries])]


def new(directory: Path) -> Log:
    """Return an empty log."""
    return reopened(directory)[0]


def segment(directory: Path, number: int = 1) -> Path:
    """Return the path of a segment."""
    return directory / f"{number:020}.log"


def shown(event: Event) -> object:
    """Return an event in a form that compares by value."""
    if isinstance(event, Acked):
        return ("acked", event.uid, event.positions.tolist())
    if isinstance(event, Skipped):
        return ("skipped", event.uid, event.first_id, event.offsets.tolist())
    return event


def test_events_come_back_in_order(tmp_path: Path) -> None:
    """Every kind of event, and the rows of a publish, survive closing and opening."""
    log = new(tmp_path)
    ranges = np.array([0, 1, 2, 7, 9, 10])
    write(log, [(TOPIC, b""), (SUBSCRIPTION, b"")])
    (place,) = write(log, [(published(), b"rows of three messages")])
    write(log, [(Acked(22, ranges), b""), (SubscriptionDeleted(22), b""), (TopicDeleted(11), b"")])
    log.close()
    log, events = reopened(tmp_path)
    assert [shown(event) for event in events] == [
        EMPTY,
        TOPIC,
        SUBSCRIPTION,
        Published(11, 1, 3, 1_700_000_000_000_000, place),
        ("acked", 22, ranges.tolist()),
        SubscriptionDeleted(22),
        TopicDeleted(11),
    ]
    assert log.payload(place).to_pybytes() == b"rows of three messages"
    log.close()


def bundle() -> list[Entry]:
    """Return a publish of an ordering key, what a filter skips of it, and an ack."""
    return [
        (Published(11, 1, 3, 1_700_000_000_000_000, None, 0xFFFF_FFFF), b"three rows" * 9),
        (Skipped(22, 1, np.array([0, 2])), b""),
        (Acked(33, np.array([7])), b""),
    ]


def test_bundle_comes_back_in_order(tmp_path: Path) -> None:
    """The events of a bundle are as if written one by one, and their rows are found."""
    log = new(tmp_path)
    write(log, [(TOPIC, b"")])
    ((place, _, _), (after,)) = log.write([bundle(), [(SUBSCRIPTION, b"")]])
    assert place.offset % 64 == after.offset % 64 == 0
    log.close()
    log, events = reopened(tmp_path)
    assert [shown(event) for event in events] == [
        EMPTY,
        TOPIC,
        Published(11, 1, 3, 1_700_000_000_000_000, place, 0xFFFF_FFFF),
        ("skipped", 22, 1, [0, 2]),
        ("acked", 33, [7]),
        SUBSCRIPTION,
    ]
    assert log.payload(place).to_pybytes() == b"three rows" * 9
    log.close()


def test_bundle_torn_at_any_byte_is_gone_as_a_whole(tmp_path: Path) -> None:
    """Not even a frame that is whole inside a torn bundle is seen."""
    log = new(tmp_path)
    whole = log.size_bytes
    log.write([bundle()])
    log.close()
    data = segment(tmp_path).read_bytes()
    for size in range(whole, len(data)):
        segment(tmp_path).write_bytes(data[:size])
        log, events = reopened(tmp_path)
        log.close()
        assert events == [EMPTY], size
        segment(tmp_path).write_bytes(data[:whole] + bytes(64) + data[whole + 64 :])
        log, events = reopened(tmp_path)
        log.close()
        assert events == [EMPTY]


def test_payload_is_aligned_and_read_while_the_log_grows(tmp_path: Path) -> None:
    """Rows lie at multiples of 64 bytes, and those written after a map was made are found."""
    log = new(tmp_path)
    for number in range(5):
        rows = bytes([number]) * (100 + number)
        (place,) = write(log, [(published(), rows)])
        assert place.offset % 64 == 0
        assert log.payload(place).to_pybytes() == rows
    log.close()


def test_end_torn_at_any_byte_is_cut_off(tmp_path: Path) -> None:
    """Whatever part of the last group was written, the groups before it are whole."""
    log = new(tmp_path)
    write(log, [(TOPIC, b"")])
    whole = log.size_bytes
    write(log, [(published(), bytes(range(100)))])
    log.close()
    data = segment(tmp_path).read_bytes()
    for size in range(whole, len(data)):
        segment(tmp_path).write_bytes(data[:size])
        log, events = reopened(tmp_path)
        assert [shown(event) for event in events] == [EMPTY, TOPIC], size
        assert log.size_bytes == whole
        write(log, [(SUBSCRIPTION, b"")])
        log.close()
        log, events = reopened(tmp_path)
        assert [shown(event) for event in events] == [EMPTY, TOPIC, SUBSCRIPTION], size
        log.close()


def test_group_that_hit_the_disk_out_of_order_is_cut_off(tmp_path: Path) -> None:
    """After a power cut the second frame of an unsynced group may be whole and the first not."""
    log = new(tmp_path)
    start = log.size_bytes
    write(log, [(TOPIC, b""), (SUBSCRIPTION, b"")])
    log.close()
    data = bytearray(segment(tmp_path).read_bytes())
    data[start : start + 64] = bytes(64)
    segment(tmp_path).write_bytes(data)
    log, events = reopened(tmp_path)
    assert [shown(event) for event in events] == [EMPTY]
    log.close()


@pytest.mark.parametrize("inside", [0, 4, 9, 16, 30, 63, 64, 100])
def test_changed_byte_in_the_middle_is_an_error(tmp_path: Path, inside: int) -> None:
    """A frame with durable ones behind it was durable itself: its harm is told, not skipped."""
    log = new(tmp_path)
    start = log.size_bytes
    write(log, [(TOPIC, b"")])
    write(log, [(SUBSCRIPTION, b"")])
    log.close()
    data = bytearray(segment(tmp_path).read_bytes())
    data[start + inside] ^= 0x40
    segment(tmp_path).write_bytes(data)
    with pytest.raises(CorruptLog, match=f"{segment(tmp_path)} is corrupt at byte {start}"):
        reopened(tmp_path)


def test_harm_in_an_older_segment_is_an_error(tmp_path: Path) -> None:
    """Only the last segment may have a torn end."""
    log = new(tmp_path)
    log.keep(write(log, [(published(), b"rows")])[0])
    log.rotate(EMPTY)
    log.close()
    segment(tmp_path).write_bytes(segment(tmp_path).read_bytes()[:-1])
    with pytest.raises(CorruptLog):
        reopened(tmp_path)


def test_rotation_torn_at_any_byte_falls_back(tmp_path: Path) -> None:
    """Killed while it begins a segment, the log goes on with the one before."""
    log = new(tmp_path)
    log.keep(write(log, [(TOPIC, b"")])[0])
    log.rotate(Checkpoint(7, [], []))
    log.close()
    data = segment(tmp_path, 2).read_bytes()
    for size in range(len(data)):
        segment(tmp_path, 2).write_bytes(data[:size])
        log, events = reopened(tmp_path)
        assert [shown(event) for event in events] == [EMPTY, TOPIC], size
        log.close()
        assert not segment(tmp_path, 2).exists()


def test_segment_is_deleted_when_its_rows_are_released(tmp_path: Path) -> None:
    """Neither one with rows in need nor the one in use is touched, wherever they stand."""
    log = new(tmp_path)
    places: list[Place] = []
    for _ in range(3):
        places += write(log, [(published(), b"rows"), (published(), b"more")])
        log.rotate(EMPTY)
    for place in places:
        log.keep(place)
    log.release(places[2:4] + places[:1])
    assert [segment(tmp_path, n).exists() for n in (1, 2, 3, 4)] == [True, False, True, True]
    log.release(places[1:2])
    assert [segment(tmp_path, n).exists() for n in (1, 2, 3, 4)] == [False, False, True, True]
    log.close()
    log, events = reopened(tmp_path)
    assert [type(event) for event in events] == [Checkpoint, Published, Published, Checkpoint]
    log.close()


def test_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write that fails half-way is undone; when there is room again, the log goes on."""
    log = new(tmp_path)
    write(log, [(TOPIC, b"")])
    size = log.size_bytes
    real = os.pwrite

    def full(file: int, data: memoryview, offset: int) -> int:
        if offset % 64:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(file, data[:10], offset)

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(Exhausted, match="full"):
        write(log, [(published(), bytes(1_000))])
    assert segment(tmp_path).stat().st_size == log.size_bytes == size
    with pytest.raises(Exhausted):
        log.rotate(EMPTY)
    assert not segment(tmp_path, 2).exists()
    monkeypatch.undo()
    write(log, [(SUBSCRIPTION, b"")])
    log.close()
    log, events = reopened(tmp_path)
    assert [shown(event) for event in events] == [EMPTY, TOPIC, SUBSCRIPTION]
    log.close()


def test_failed_sync_stops_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a failed sync nothing more is promised, for a second one might lie."""
    log = new(tmp_path)

    def broken(_file: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", broken)
    with pytest.raises(Unavailable, match="Input/output error"):
        write(log, [(TOPIC, b"")])
    monkeypatch.undo()
    refused = []
    for _ in range(3):
        with pytest.raises(Unavailable, match="restart") as error:
            write(log, [(TOPIC, b"")])
        refused.append(len(error.traceback))
    assert len(set(refused)) == 1, "each refusal holds what those before it have held"
    log.close()


def test_reserve_is_kept_for_acks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A publish is refused before the disk is so full that acks could not free it."""
    log = new(tmp_path)
    log.check_room(1_000)
    free = os.statvfs(tmp_path).f_bavail * os.statvfs(tmp_path).f_frsize
    monkeypatch.setattr(limits, "DISK_RESERVE_BYTES", 2 * free)
    with pytest.raises(Exhausted, match="full"):
        log.check_room(1_000)
    log.close()


def test_second_broker_is_refused(tmp_path: Path) -> None:
    """The lock holds until it is closed, and then it is free."""
    log = new(tmp_path)
    with pytest.raises(DataDirInUse, match="in use by another broker"):
        Log(tmp_path)
    log.close()
    new(tmp_path).close()
