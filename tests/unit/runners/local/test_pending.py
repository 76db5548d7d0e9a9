"""Elements that wait at ports: which may be taken when, and what is left of them in the store."""

from collections.abc import Iterator

import pytest

from runners.local import pending as module
from runners.local.pending import Item, Pending
from runners.local.store import Bag, Chunk, Store

HUGE = 1 << 40


@pytest.fixture
def store() -> Iterator[Store]:
    opened = Store.open(None)
    opened.begin()
    yield opened
    opened.close()


def data_of(items: list[Item]) -> list[bytes | None]:
    return [item.chunk.data for item in items]


def stored(store: Store) -> list[tuple[str, bytes | None]]:
    return [(port, chunk.data) for _, port, chunk in store.chunks()]


def test_oldest_come_first_up_to_a_size(store: Store) -> None:
    """A bundle takes whole chunks, one at least; the others stay in order."""
    waiting = Pending(store)
    for data in (b"aaa", b"bbb", b"ccc"):
        waiting.add("p", Chunk(data, 0), 1)
    assert data_of(waiting.take("p", 1, 0, 4)) == [b"aaa", b"bbb"]
    assert data_of(waiting.take("p", 1, 0, 1)) == [b"ccc"]
    assert waiting.take("p", 1, 0, 1) == []
    assert waiting.ports == []


def test_what_is_not_due_stays(store: Store) -> None:
    """A later epoch, and a later processing time, must come first; others pass by."""
    waiting = Pending(store)
    waiting.add("p", Chunk(b"next epoch", 0), 2)
    waiting.add("p", Chunk(b"later", 0, due_us=50), 1)
    waiting.add("p", Chunk(b"now", 0), 1)
    assert data_of(waiting.take("p", 1, 49, HUGE)) == [b"now"]
    assert not waiting.has("p", 1, 49)
    assert waiting.next_due_us(1) == 50
    assert waiting.has("p", 1, 50)
    assert data_of(waiting.take("p", 2, 50, HUGE)) == [b"next epoch", b"later"]
    assert waiting.next_due_us(2) is None


def test_earliest_holds_the_watermark(store: Store) -> None:
    """The least hold of a port counts, through every change."""
    waiting = Pending(store)
    assert waiting.hold_us("p") is None
    waiting.add("p", Chunk(b"a", 30), 1)
    assert waiting.hold_us("p") == 30
    waiting.add("p", Chunk(b"b", 20), 2)
    assert waiting.hold_us("p") == 20
    taken = waiting.take("p", 2, 0, 1)
    assert data_of(taken) == [b"a"]
    assert waiting.hold_us("p") == 20
    waiting.take("p", 2, 0, 1)
    assert waiting.hold_us("p") is None
    waiting.put_back("p", taken)
    assert waiting.hold_us("p") == 30


def test_put_back_goes_ahead(store: Store) -> None:
    """What was taken and not used is the oldest again."""
    waiting = Pending(store)
    for data in (b"a", b"b", b"c"):
        waiting.add("p", Chunk(data, 0), 1)
    waiting.put_back("p", waiting.take("p", 1, 0, 2))
    assert data_of(waiting.take("p", 1, 0, HUGE)) == [b"a", b"b", b"c"]


def test_only_what_is_left_is_stored_once(store: Store) -> None:
    """What was taken within its epoch never reaches the store; the rest does, and is removed."""
    waiting = Pending(store)
    waiting.add("p", Chunk(b"quick", 0), 1)
    waiting.discard(waiting.take("p", 1, 0, HUGE))
    waiting.add("p", Chunk(b"slow", 7, due_us=9), 1)
    waiting.save()
    waiting.save()
    assert stored(store) == [("p", b"slow")]
    taken = waiting.take("p", 2, 9, HUGE)
    assert stored(store) == [("p", b"slow")]
    waiting.discard(taken)
    assert stored(store) == []


def test_restart_finds_all(store: Store) -> None:
    """What was stored waits again, with its times; what was not is forgotten."""
    first = Pending(store)
    first.add("p", Chunk(b"a", 7, due_us=9), 1)
    first.add("q", Chunk(b"b", 8), 2)
    first.save()
    first.add("q", Chunk(b"lost", 1), 2)
    first.reload(1)
    second = Pending(store)
    second.reload(1)
    for waiting in (first, second):
        assert sorted(waiting.ports) == ["p", "q"]
        assert (waiting.hold_us("p"), waiting.hold_us("q")) == (7, 8)
        assert waiting.next_due_us(1) == 0
        assert not waiting.has("p", 1, 8)
        assert data_of(waiting.take("p", 1, 9, HUGE)) == [b"a"]
        # Stored elements were committed: they may be taken at once.
        assert data_of(waiting.take("q", 1, 0, HUGE)) == [b"b"]


def test_memory_is_bounded(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond a size, data stays in the store alone until it is taken."""
    monkeypatch.setattr(module, "MEMORY_BYTES_MAX", 10)
    waiting = Pending(store)
    for letter in b"abc":
        waiting.add("p", Chunk(bytes([letter]) * 6, letter), 1)
    waiting.save()
    held = waiting.take("p", 0, 0, HUGE)
    assert held == []
    in_memory = sum(item.nbytes for item in waiting._items["p"])
    assert in_memory <= 10
    assert data_of(waiting.take("p", 1, 0, 12)) == [b"aaaaaa", b"bbbbbb"]
    assert data_of(waiting.take("p", 1, 0, HUGE)) == [b"cccccc"]


def test_bag_goes_with_its_element(store: Store) -> None:
    """The values of a large pane are deleted when it was processed, if nobody else has them."""
    cell = b"values"
    upto = store.append(cell, b"value")
    waiting = Pending(store)
    waiting.add("p", Chunk(b"key", 0, bag=Bag(cell, upto, 1, 5, owned=True)), 1)
    waiting.save()
    taken = waiting.take("p", 1, 0, HUGE)
    assert store.read(cell)
    waiting.discard(taken)
    assert store.read(cell) == []
    assert store.chunks() == []


def test_what_waits_for_a_side_input_is_not_awaited_by_time(store: Store) -> None:
    """Only a watermark can help an element that was found not to be ready."""
    waiting = Pending(store)
    waiting.put_back("p", [Item(Chunk(b"a", 0), 1, checked=("seen",))])
    assert waiting.next_due_us(1) is None
    waiting.add("p", Chunk(b"b", 0, due_us=4), 1)
    assert waiting.next_due_us(1) == 4


def test_what_is_not_wanted_is_not_read(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Data that is in the store alone is read when it is taken, and let go when it is put back."""
    monkeypatch.setattr(module, "MEMORY_BYTES_MAX", 0)
    waiting = Pending(store)
    for data in (b"a", b"b", b"c"):
        waiting.add("p", Chunk(data, 0), 1)
    waiting.save()
    reads: list[int] = []
    read = store.chunk_data
    monkeypatch.setattr(store, "chunk_data", lambda number: reads.append(number) or read(number))
    numbers = [item.number for item in waiting._items["p"]]
    taken = waiting.take("p", 1, 0, HUGE, lambda item: item.number == numbers[1])
    assert data_of(taken) == [b"b"]
    assert reads == [numbers[1]]
    waiting.put_back("p", taken)
    assert [item.nbytes for item in waiting._items["p"]] == [0, 0, 0]
    assert data_of(waiting.take("p", 1, 0, HUGE)) == [b"b", b"a", b"c"]
