"""The state of a job follows a model of dictionaries, through rollbacks, restarts and kills."""

from __future__ import annotations

import copy
import os
import random
import signal
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runners.local.store import INLINE_BYTES_MAX, Bag, Chunk, Store, Timer

KEYS = st.binary(max_size=3) | st.sampled_from([b"\xff", b"\xff\xff", b"\xfe\xff", b"a\xff"])
TIMES = st.integers(-(2**63), 2**63 - 1) | st.integers(-3, 3)
OWNERS = st.sampled_from(["step", "step/2", "é"])
DOMAINS = st.sampled_from([1, 2])
DATA = st.binary(max_size=20) | st.sampled_from(
    [bytes(INLINE_BYTES_MAX), bytes(INLINE_BYTES_MAX + 1), b"x" * 300_000]
)
BAGS = st.none() | st.builds(
    Bag, KEYS, st.integers(0, 99), st.integers(0, 99), st.integers(0, 99), st.booleans()
)
CHANGES = st.one_of(
    st.tuples(st.just("put"), st.text(max_size=2), st.none() | DATA),
    st.tuples(st.just("append"), KEYS, DATA),
    st.tuples(st.just("delete"), KEYS, st.none() | st.integers(0, 40)),
    st.tuples(st.just("delete_prefix"), KEYS),
    st.tuples(st.just("add_chunk"), OWNERS, st.builds(Chunk, DATA, TIMES, TIMES, BAGS)),
    st.tuples(st.just("remove_chunk"), st.integers(0, 10)),
    st.tuples(
        st.just("set_timer"),
        OWNERS,
        KEYS,
        DOMAINS,
        st.tuples(st.none() | TIMES, st.none() | TIMES, DATA),
    ),
    st.tuples(st.just("clear_timer"), OWNERS, KEYS),
    st.tuples(st.just("clear_timers"), OWNERS, KEYS),
)
ENDS = st.sampled_from(["commit", "commit", "rollback", "reopen"])
TRANSACTIONS = st.lists(st.tuples(st.lists(CHANGES, max_size=12), ENDS), max_size=6)


class Model:
    """The naive store."""

    def __init__(self) -> None:
        self.named: dict[str, bytes] = {}
        self.rows: list[tuple[int, bytes, bytes]] = []
        self.chunks: dict[int, tuple[str, Chunk]] = {}
        self.timers: dict[tuple[str, bytes], tuple[int, Timer]] = {}

    def put(self, store: Store, name: str, value: bytes | None) -> None:
        """Set or remove a value."""
        store.put(name, value)
        self.named.pop(name, None)
        if value is not None:
            self.named[name] = value

    def append(self, store: Store, cell: bytes, data: bytes) -> None:
        """Add a row."""
        row = store.append(cell, data)
        assert all(row > other for other, *_ in self.rows)
        self.rows.append((row, cell, data))

    def delete(self, store: Store, cell: bytes, upto: int | None) -> None:
        """Delete rows of a cell."""
        store.delete(cell, upto=upto)
        self.rows = [
            (row, key, data)
            for row, key, data in self.rows
            if key != cell or (upto is not None and row > upto)
        ]

    def delete_prefix(self, store: Store, prefix: bytes) -> None:
        """Delete cells."""
        store.delete_prefix(prefix)
        self.rows = [each for each in self.rows if not each[1].startswith(prefix)]

    def add_chunk(self, store: Store, port: str, chunk: Chunk) -> None:
        """Add a chunk."""
        number = store.add_chunk(port, chunk)
        assert all(number > other for other in self.chunks)
        self.chunks[number] = port, chunk

    def remove_chunk(self, store: Store, choice: int) -> None:
        """Remove one of the chunks."""
        if self.chunks:
            number = sorted(self.chunks)[choice % len(self.chunks)]
            store.remove_chunk(number)
            del self.chunks[number]

    def set_timer(
        self, store: Store, owner: str, slot: bytes, domain: int, timer: tuple[Any, ...]
    ) -> None:
        """Set a timer."""
        fire_us, hold_us, data = timer
        store.set_timer(owner, slot, domain=domain, fire_us=fire_us, hold_us=hold_us, data=data)
        self.timers[owner, slot] = domain, Timer(slot, fire_us, hold_us, data)

    def clear_timer(self, store: Store, owner: str, slot: bytes) -> None:
        """Clear a timer."""
        store.clear_timer(owner, slot)
        self.timers.pop((owner, slot), None)

    def clear_timers(self, store: Store, owner: str, prefix: bytes) -> None:
        """Clear timers."""
        store.clear_timers(owner, prefix)
        for key in [key for key in self.timers if key[0] == owner and key[1].startswith(prefix)]:
            del self.timers[key]

    def verify(self, store: Store, prefix: bytes, at_us: int) -> None:
        """Compare all that can be read."""
        self._verify_cells(store, prefix)
        assert dict(store.items("")) == self.named
        expected = [
            (
                number,
                port,
                Chunk(
                    chunk.data if len(chunk.data or b"") <= INLINE_BYTES_MAX else None,
                    chunk.hold_us,
                    chunk.due_us,
                    chunk.bag,
                ),
            )
            for number, (port, chunk) in sorted(self.chunks.items())
        ]
        assert store.chunks() == expected
        for number, (_, chunk) in self.chunks.items():
            assert store.chunk_data(number) == chunk.data
        for owner in ("step", "step/2", "é"):
            self._verify_timers(store, owner, prefix, at_us)

    def _verify_cells(self, store: Store, prefix: bytes) -> None:
        cells = defaultdict(list)
        for row, cell, data in self.rows:
            cells[cell].append((row, data))
        assert store.cells(b"") == sorted(cells)
        assert store.cells(prefix) == sorted(cell for cell in cells if cell.startswith(prefix))
        for cell, rows in cells.items():
            assert store.read(cell) == rows
            paged, after = [], 0
            while page := store.read(cell, after=after, upto=rows[-1][0], bytes_max=30):
                assert len(page) == 1 or sum(len(data) for _, data in page[:-1]) < 30
                paged += page
                after = page[-1][0]
            assert paged == rows

    def _verify_timers(self, store: Store, owner: str, prefix: bytes, at_us: int) -> None:
        own = [(domain, timer) for (of, _), (domain, timer) in self.timers.items() if of == owner]
        holds = [timer.hold_us for _, timer in own if timer.hold_us is not None]
        assert store.earliest_hold_us(owner) == min(holds, default=None)
        for domain in (1, 2):
            fires = [
                (timer.fire_us, timer.slot, timer)
                for other, timer in own
                if other == domain and timer.fire_us is not None
            ]
            due = [timer for fire_us, _, timer in sorted(fires) if fire_us <= at_us]
            assert store.due_timers(owner, domain, at_us, 100) == due
            assert store.due_timers(owner, domain, at_us, 1) == due[:1]
            for start in (b"", prefix):
                times = [fire_us for fire_us, slot, _ in fires if slot.startswith(start)]
                assert store.next_timer_us(owner, domain, start) == min(times, default=None)


@settings(max_examples=80)
@given(TRANSACTIONS, KEYS, TIMES, st.booleans())
def test_store_follows_the_model(
    transactions: list[tuple[list[tuple[Any, ...]], str]],
    prefix: bytes,
    at_us: int,
    durable: bool,
) -> None:
    """Any changes, taken back or not, read within and after, are what a dictionary would have."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store.open(folder if durable else None)
        committed = Model()
        for changes, end in transactions:
            model = copy.deepcopy(committed)
            store.begin()
            for name, *arguments in changes:
                getattr(model, name)(store, *arguments)
            model.verify(store, prefix, at_us)
            if end == "commit":
                store.commit()
                committed = model
            elif end == "rollback" or not durable:
                store.rollback()
            else:
                store.close()
                store = Store.open(folder)
            committed.verify(store, prefix, at_us)
        store.close()


def write_epochs(folder: str, seed: int, told: int) -> None:
    """Change the state epoch by epoch, and tell each one that is committed."""
    store = Store.open(folder)
    draw = random.Random(seed)
    while True:
        store.begin()
        epoch = int(store.get("epoch") or b"0") + 1
        store.put("epoch", b"%d" % epoch)
        for _ in range(draw.randrange(200)):
            size = draw.choice([9, 900, 90_000])
            store.append(b"cell%d" % draw.randrange(9), draw.randbytes(size))
        store.append(b"epochs", b"%d" % epoch)
        for number, _, _ in store.chunks():
            store.remove_chunk(number)
        store.add_chunk("port", Chunk(b"%d" % epoch * draw.choice([1, 100_000]), epoch))
        store.set_timer("step", b"slot", domain=1, fire_us=epoch, hold_us=-epoch, data=b"")
        if draw.random() < 0.2:
            store.delete_prefix(b"cell")
        if draw.random() < 0.2:
            store.rollback()
        else:
            store.commit()
            os.write(told, b"%d\n" % epoch)


def run_and_kill(folder: str, draw: random.Random) -> int:
    """Write in another process, kill it within 0.3 s, and return the last epoch that it told."""
    read, told = os.pipe()
    if not (writer := os.fork()):
        try:
            os.close(read)
            write_epochs(folder, draw.randrange(1 << 32), told)
        finally:
            os._exit(1)
    os.close(told)
    with open(read, "rb") as epochs:
        first = epochs.readline()
        time.sleep(draw.uniform(0, 0.3))
        os.kill(writer, signal.SIGKILL)
        lines = [first, *epochs]
    _, status = os.waitpid(writer, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL
    return int(lines[-1])


@pytest.mark.chaos
def test_a_kill_leaves_the_last_commit(tmp_path: Path) -> None:
    """Killed at any moment, the state is of one epoch: the last one told of, or the one after."""
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")
    draw = random.Random(seed)
    for _ in range(30):
        told = run_and_kill(str(tmp_path), draw)
        store = Store.open(str(tmp_path))
        epoch = int(store.get("epoch") or b"0")
        assert told <= epoch <= told + 1
        assert [int(data) for _, data in store.read(b"epochs")] == list(range(1, epoch + 1))
        for cell in store.cells(b""):
            store.read(cell)
        [(number, port, chunk)] = store.chunks()
        assert (port, chunk.hold_us) == ("port", epoch)
        assert store.chunk_data(number).startswith(b"%d" % epoch)
        assert store.due_timers("step", 1, epoch, 9) == [Timer(b"slot", epoch, -epoch, b"")]
        store.close()
