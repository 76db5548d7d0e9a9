"""The state of a job: what it keeps, what it refuses, and what it survives."""

from __future__ import annotations

import contextlib
import itertools
import os
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from runners.local import database, space
from runners.local.errors import (
    StateFolderInUse,
    StoreCorrupt,
    StoreError,
    StoreFull,
    StoreVersion,
)
from runners.local.store import CHUNKS_BYTES_MAX, INLINE_BYTES_MAX, Bag, Chunk, Store, Timer
from tests.processes import python

FILE = "state.sqlite3"
PAGE = database.PAGE_BYTES


@contextlib.contextmanager
def opened(folder: Path | None) -> Iterator[Store]:
    """Open a store and close it."""
    store = Store.open(None if folder is None else str(folder))
    try:
        yield store
    finally:
        store.close()


@contextlib.contextmanager
def transaction(store: Store) -> Iterator[Store]:
    """Commit what is done within."""
    store.begin()
    yield store
    store.commit()


@pytest.fixture(params=["durable", "temporary"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An open store of each kind, in a transaction."""
    with opened(tmp_path / "job" if request.param == "durable" else None) as store:
        store.begin()
        yield store


def set_timer(store: Store, slot: bytes, **changes: Any) -> None:
    """Set a timer with some fields of interest."""
    fields: dict[str, Any] = {"domain": 1, "fire_us": None, "hold_us": None, "data": b""}
    store.set_timer("step", slot, **(fields | changes))


def fill(store: Store, mebibytes: int) -> None:
    """Add rows of 1 MiB to one cell, each in a transaction."""
    for number in range(mebibytes):
        with transaction(store):
            store.append(b"big", bytes([number % 256]) * (1 << 20))


# Named values


def test_names_have_values(store: Store) -> None:
    """A value is replaced by the next and removed by None; prefixes go by their characters."""
    for name, value in [("a", b"1"), ("é/x", b"2"), ("é/y", b""), ("ê", b"4"), ("é/x", b"5")]:
        store.put(name, value)
    store.put("a", None)
    assert store.get("a") is None
    assert store.get("é/y") == b""
    assert store.items("é") == [("é/x", b"5"), ("é/y", b"")]
    assert [name for name, _ in store.items("")] == ["é/x", "é/y", "ê"]


# Cells


def test_rows_of_a_cell_come_in_order_of_arrival(store: Store) -> None:
    """Numbers rise over all cells, and a range leaves out its lower end."""
    numbers = [store.append(cell, cell * 2) for cell in (b"a", b"b", b"a", b"a")]
    first, _, second, third = numbers
    assert numbers == sorted(set(numbers))
    assert store.read(b"a") == [(first, b"aa"), (second, b"aa"), (third, b"aa")]
    assert store.read(b"a", after=first, upto=second) == [(second, b"aa")]
    assert store.read(b"c") == []


def test_a_page_of_rows_has_one_at_least(store: Store) -> None:
    """A reader that asks for less than a row goes forward nevertheless."""
    numbers = [store.append(b"a", b"x" * 10) for _ in range(5)]
    assert [row for row, _ in store.read(b"a", bytes_max=1)] == numbers[:1]
    assert [row for row, _ in store.read(b"a", bytes_max=20)] == numbers[:2]
    assert [row for row, _ in store.read(b"a", after=numbers[1], bytes_max=21)] == numbers[2:]


def test_deleting_spares_what_came_after(store: Store) -> None:
    """What a pane refers to goes, what arrived since stays."""
    numbers = [store.append(b"a", b"x") for _ in range(3)]
    store.append(b"b", b"y")
    store.delete(b"a", upto=numbers[1])
    assert store.read(b"a") == [(numbers[2], b"x")]
    store.delete(b"a")
    assert store.cells(b"") == [b"b"]


def test_numbers_are_not_given_twice(tmp_path: Path) -> None:
    """A stale reference to a deleted row can't meet a new one, after a restart neither."""
    with opened(tmp_path) as store, transaction(store):
        row = store.append(b"a", b"x")
        store.delete(b"a")
        chunk = store.add_chunk("port", Chunk(b"x", 0))
        store.remove_chunk(chunk)
    with opened(tmp_path) as store, transaction(store):
        later = store.append(b"a", b"x")
        assert later > row
        assert store.add_chunk("port", Chunk(b"x", 0)) > chunk


def test_prefixes_end_where_the_next_begins(store: Store) -> None:
    """Bytes of 255 at the end of a prefix have no successor of the same length."""
    cells = [b"", b"\xfe", b"\xfe\xff", b"\xfe\xffz", b"\xff", b"\xff\xff", b"\xff\xffz"]
    for cell in cells:
        store.append(cell, b"")
    assert store.cells(b"") == cells
    assert store.cells(b"\xfe\xff") == cells[2:4]
    assert store.cells(b"\xff\xff") == cells[5:]
    store.delete_prefix(b"\xfe\xff")
    store.delete_prefix(b"\xff\xff")
    assert store.cells(b"") == [b"", b"\xfe", b"\xff"]


def test_keys_come_by_ranges(store: Store) -> None:
    """A range within a prefix goes by the rest of the keys, from start to before stop."""
    for rest in b"abcd":
        store.append(b"p" + bytes([rest]), b"")
    store.append(b"q", b"")
    assert store.cells(b"p", start=b"b", stop=b"d") == [b"pb", b"pc"]
    assert store.cells(b"p", start=b"c") == [b"pc", b"pd"]
    assert store.cells(b"p", limit=1) == [b"pa"]


# Chunks


@pytest.mark.parametrize("size", [0, 1, INLINE_BYTES_MAX, INLINE_BYTES_MAX + 1])
def test_chunks_come_back_whole(store: Store, size: int) -> None:
    """Each field survives, and data that is left out can be asked for."""
    bag = Bag(b"cell", 7, 3, 99, owned=True)
    data = os.urandom(size)
    first = store.add_chunk("port", Chunk(data, -5, 8, bag))
    second = store.add_chunk("other", Chunk(data, 5))
    kept = data if size <= INLINE_BYTES_MAX else None
    assert store.chunks() == [
        (first, "port", Chunk(kept, -5, 8, bag)),
        (second, "other", Chunk(kept, 5, 0, None)),
    ]
    assert store.chunk_data(first) == data
    store.remove_chunk(first)
    assert [number for number, _, _ in store.chunks()] == [second]
    with pytest.raises(KeyError):
        store.chunk_data(first)


def test_a_backlog_does_not_fill_the_memory(store: Store) -> None:
    """Of many small chunks only the first come with their data."""
    count = CHUNKS_BYTES_MAX // INLINE_BYTES_MAX + 10
    for _ in range(count):
        store.add_chunk("port", Chunk(bytes(INLINE_BYTES_MAX), 0))
    found = store.chunks()
    assert len(found) == count
    assert sum(len(chunk.data or b"") for _, _, chunk in found) == CHUNKS_BYTES_MAX
    assert len(store.chunk_data(found[-1][0])) == INLINE_BYTES_MAX


def test_a_chunk_without_its_data_is_refused(store: Store) -> None:
    """It would be stored as lost."""
    with pytest.raises(ValueError, match="port"):
        store.add_chunk("port", Chunk(None, 0))


# Timers


def test_a_slot_has_one_timer(store: Store) -> None:
    """Setting replaces, also in the other time domain."""
    set_timer(store, b"s", fire_us=5, hold_us=4, data=b"old")
    set_timer(store, b"s", domain=2, fire_us=9, data=b"new")
    assert store.due_timers("step", 1, 100, 10) == []
    assert store.due_timers("step", 2, 100, 10) == [Timer(b"s", 9, None, b"new")]
    assert store.earliest_hold_us("step") is None
    assert store.timer("step", b"s") == Timer(b"s", 9, None, b"new")
    store.clear_timer("step", b"s")
    assert store.timer("step", b"s") is None


def test_due_timers_come_by_time_and_slot(store: Store) -> None:
    """What fires first comes first, up to and with the time, so many and no more."""
    for slot, fire_us in [(b"c", 1), (b"b", 3), (b"a", 3), (b"d", 4), (b"e", None)]:
        set_timer(store, slot, fire_us=fire_us)
    assert [timer.slot for timer in store.due_timers("step", 1, 3, 10)] == [b"c", b"a", b"b"]
    assert [timer.slot for timer in store.due_timers("step", 1, 4, 2)] == [b"c", b"a"]
    assert store.next_timer_us("step", 1) == 1


def test_times_reach_as_far_as_beam_goes(store: Store) -> None:
    """The ends of Beam's time fit."""
    least, most = -9_223_372_036_854_775_000, 9_223_372_036_854_775_000
    set_timer(store, b"a", fire_us=most, hold_us=least)
    assert store.next_timer_us("step", 1) == most
    assert store.earliest_hold_us("step") == least


def test_owners_are_apart(store: Store) -> None:
    """One owner's timers are none of another's; who has none is asked for nothing."""
    set_timer(store, b"a", fire_us=1, hold_us=1)
    assert store.next_timer_us("other", 1) is None
    assert store.earliest_hold_us("other") is None
    assert store.due_timers("other", 1, 9, 9) == []
    store.clear_timers("other", b"")
    assert store.next_timer_us("step", 1) == 1


def test_slots_have_prefixes(store: Store) -> None:
    """The timers of a window are asked for and cleared together."""
    for slot, fire_us in [(b"a1", 5), (b"a2", 3), (b"b1", 1)]:
        set_timer(store, slot, fire_us=fire_us)
    assert store.next_timer_us("step", 1, b"a") == 3
    assert [timer.slot for timer in store.timers("step", b"a")] == [b"a1", b"a2"]
    store.clear_timers("step", b"a")
    assert [timer.slot for timer in store.timers("step", b"")] == [b"b1"]


# Transactions


def write_all_kinds(store: Store) -> None:
    """Change something of each kind."""
    store.put("name", b"value")
    store.append(b"cell", b"data")
    store.add_chunk("port", Chunk(b"data", 1))
    set_timer(store, b"slot", fire_us=1, hold_us=2)


def content(store: Store) -> list[Any]:
    """Return what the store has of each kind."""
    return [
        store.items(""),
        [store.read(cell) for cell in store.cells(b"")],
        store.chunks(),
        store.timers("step", b""),
        store.earliest_hold_us("step"),
    ]


def test_rollback_returns_to_the_last_commit(tmp_path: Path) -> None:
    """Nothing of a transaction stays, the names that it used for the first time neither."""
    with opened(tmp_path) as store:
        nothing = content(store)
        store.begin()
        write_all_kinds(store)
        store.rollback()
        assert content(store) == nothing
        with transaction(store):
            write_all_kinds(store)
        something = content(store)
        store.begin()
        store.delete_prefix(b"")
        store.clear_timers("step", b"")
        store.rollback()
        assert content(store) == something != nothing


def test_a_store_that_closes_keeps_what_is_committed(tmp_path: Path) -> None:
    """A transaction that is open at the close is gone."""
    with opened(tmp_path) as store:
        with transaction(store):
            write_all_kinds(store)
        something = content(store)
        store.begin()
        store.put("name", b"other")
    with opened(tmp_path) as store:
        assert content(store) == something


def test_changes_outside_of_a_transaction_are_refused(tmp_path: Path) -> None:
    """They would be durable one by one."""
    with opened(tmp_path) as store:
        with pytest.raises(RuntimeError, match="outside"):
            store.append(b"a", b"x")
        store.rollback()
        assert store.cells(b"") == []


def test_a_closed_store_is_of_no_use(tmp_path: Path) -> None:
    """It does not come back without its lock."""
    store = Store.open(str(tmp_path))
    store.close()
    store.close()
    with pytest.raises(ValueError, match="closed"):
        store.get("name")


def test_an_error_of_sqlite_names_the_file_and_not_the_data(store: Store) -> None:
    """What SQLite refuses stops the transaction, and no value gets into the message."""
    chunk = Chunk(b"secret", None)  # type: ignore[arg-type]
    with pytest.raises(StoreError, match=FILE) as caught:
        store.add_chunk("port", chunk)
    assert "secret" not in str(caught.value)
    with pytest.raises(StoreError, match="Roll back"):
        store.get("name")
    store.rollback()
    assert store.get("name") is None


# The folder


def test_one_store_for_one_folder(tmp_path: Path) -> None:
    """The second is refused with the folder and the process, until the first closes."""
    with opened(tmp_path), pytest.raises(StateFolderInUse) as caught:
        Store.open(str(tmp_path))
    assert str(tmp_path) in str(caught.value)
    assert f"process {os.getpid()}" in str(caught.value)
    with opened(tmp_path):
        pass


def test_another_process_is_refused_until_the_first_is_dead(tmp_path: Path) -> None:
    """A process that was killed leaves no lock behind."""
    code = (
        "import sys; from runners.local.store import Store;"
        "store = Store.open(sys.argv[1]); print('open', flush=True); sys.stdin.read()"
    )
    with python("-c", code, str(tmp_path), stdin=-1, stdout=-1) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        with pytest.raises(StateFolderInUse, match=f"process {holder.pid} "):
            Store.open(str(tmp_path))
        holder.kill()
    with opened(tmp_path):
        pass


def test_a_child_that_outlives_a_killed_process_holds_nothing(tmp_path: Path) -> None:
    """User code may fork, and the next start must not wait for what it left behind."""
    code = (
        "import os, sys; from runners.local.store import Store;"
        "store = Store.open(sys.argv[1]); child = os.fork();"
        "os.write(1, b'forked\\n' if child else b'child\\n'); sys.stdin.read()"
    )
    with python("-c", code, str(tmp_path), stdin=-1, stdout=-1) as parent:
        assert parent.stdout is not None
        assert {parent.stdout.readline() for _ in range(2)} == {"child\n", "forked\n"}
        parent.kill()
        parent.wait()
        with opened(tmp_path):
            pass


def test_a_forked_child_does_not_remove_temporary_state() -> None:
    """The end of a child is not the end of its parent."""
    with opened(None) as store:
        if not (child := os.fork()):
            store._folder.release()
            os._exit(0)
        assert os.waitpid(child, 0) == (child, 0)
        assert os.path.exists(store._folder.path)


def test_folders_are_created_with_their_parents(tmp_path: Path) -> None:
    """A state folder may be anywhere."""
    with opened(tmp_path / "a" / "b"):
        assert (tmp_path / "a" / "b" / FILE).exists()


def test_a_folder_that_can_not_be_is_an_error(tmp_path: Path) -> None:
    """The message names it."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StoreError, match=r"file/job.*--state_dir"):
        Store.open(str(tmp_path / "file" / "job"))


def test_temporary_state_is_removed() -> None:
    """By close, and by the end of a process that forgets to close."""
    with opened(None) as store:
        folder = store._folder.path
        assert os.path.exists(folder)
    assert not os.path.exists(folder)
    code = "from runners.local.store import Store; s = Store.open(None); print(s._folder.path)"
    with python("-c", code, stdout=-1) as process:
        printed, _ = process.communicate()
    assert process.returncode == 0
    assert printed.strip()
    assert not os.path.exists(printed.strip())


# Damage


def damaged(folder: Path, change: Callable[[Path], object]) -> StoreCorrupt:
    """Damage the file of a store with 8 MiB, and return the error of reading all of it."""
    with opened(folder) as store:
        fill(store, 8)
        with transaction(store):
            for number in range(20_000):
                store.append(b"small%d" % (number % 1_000), b"data")
    change(folder / FILE)
    with pytest.raises(StoreCorrupt) as caught:
        read_all(folder)
    return caught.value


def read_all(folder: Path) -> None:
    """Open a store and read all rows."""
    with opened(folder) as store:
        for cell in store.cells(b""):
            store.read(cell)


def overwrite(path: Path, at: int, data: bytes) -> None:
    """Replace bytes of a file."""
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


@pytest.mark.parametrize("size", [0, 1, 100, PAGE, PAGE * 300, -1])
def test_a_file_that_was_cut_is_refused(tmp_path: Path, size: int) -> None:
    """Wherever it ends: what it lost may have been acknowledged."""
    error = damaged(
        tmp_path, lambda path: os.truncate(path, size if size >= 0 else path.stat().st_size + size)
    )
    assert str(tmp_path / FILE) in str(error)
    assert "remove the folder" in str(error)


@pytest.mark.parametrize("at", [0, 18, 40, 100])
def test_garbage_in_the_header_is_refused(tmp_path: Path, at: int) -> None:
    """The first page tells what the file is."""
    damaged(tmp_path, lambda path: overwrite(path, at, bytes(range(7, 67))))


@pytest.mark.parametrize("part", [0.1, 0.3, 0.5, 0.7, 0.9])
@pytest.mark.parametrize("nbytes", [16, PAGE])
def test_garbage_in_content_is_refused(tmp_path: Path, part: float, nbytes: int) -> None:
    """SQLite does not look at content; the checksums do."""
    damaged(
        tmp_path,
        lambda path: overwrite(path, int(path.stat().st_size * part), b"\x5a" * nbytes),
    )


def test_a_file_that_is_gone_is_not_begun_anew_beside_its_log(tmp_path: Path) -> None:
    """A log without its file is what a careless copy leaves."""
    with opened(tmp_path) as store:
        with transaction(store):
            write_all_kinds(store)
        log = (tmp_path / f"{FILE}-wal").read_bytes()
    (tmp_path / f"{FILE}-wal").write_bytes(log)
    (tmp_path / FILE).unlink()
    with pytest.raises(StoreCorrupt, match="only its log"):
        Store.open(str(tmp_path))


@pytest.mark.parametrize("kind", ["value", "chunk"])
def test_content_of_each_kind_has_a_checksum(tmp_path: Path, kind: str) -> None:
    """Values and chunks are checked as rows are, and the message says which it was."""
    with opened(tmp_path) as store, transaction(store):
        write_all_kinds(store)
    with contextlib.closing(sqlite3.connect(tmp_path / FILE)) as connection, connection:
        table, column = {"value": ("named", "value"), "chunk": ("chunks", "data")}[kind]
        connection.execute(f"UPDATE {table} SET {column} = x'00'")
    with opened(tmp_path) as store, pytest.raises(StoreCorrupt, match=kind):
        content(store)


def test_a_file_of_another_version_is_refused(tmp_path: Path) -> None:
    """It is neither read nor written."""
    with opened(tmp_path) as store, transaction(store):
        write_all_kinds(store)
    with contextlib.closing(sqlite3.connect(tmp_path / FILE)) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(StoreVersion, match=r"format 99.*reads 1"):
        Store.open(str(tmp_path))


def test_a_database_of_others_is_refused(tmp_path: Path) -> None:
    """Whatever lies in the folder under our name."""
    with contextlib.closing(sqlite3.connect(tmp_path / FILE)) as connection:
        connection.execute("CREATE TABLE theirs (x)")
    with pytest.raises(StoreCorrupt, match="not the state"):
        Store.open(str(tmp_path))


def test_what_a_first_start_left_half_done_is_begun_anew(tmp_path: Path) -> None:
    """The file has its name when it is whole, so that what lies beside it was never used."""
    (tmp_path / f"{FILE}.new").write_bytes(b"half")
    with opened(tmp_path) as store:
        assert store.cells(b"") == []


# The disk


@pytest.mark.parametrize("volume", ["4m"], indirect=True)
def test_a_full_disk_stops_a_transaction_and_goes_on_when_mended(volume: Path) -> None:
    """What was committed stays, and the same process goes on as soon as there is room."""
    with opened(volume / "job") as store:
        with transaction(store):
            write_all_kinds(store)
        before = content(store)
        ballast = volume / "ballast"
        ballast.write_bytes(bytes((2 << 20) + (1 << 19)))
        for _ in range(3):
            with pytest.raises(StoreFull, match="Free space"):
                write_too_much(store)
            store.rollback()
            assert content(store) == before
        ballast.unlink()
        with transaction(store):
            store.append(b"big", bytes(60_000))
        after = content(store)
    with opened(volume / "job") as store:
        assert content(store) == after != before


@pytest.mark.parametrize("volume", ["4m"], indirect=True)
def test_a_disk_without_any_room_stops_the_commit(volume: Path) -> None:
    """The smallest change fails too, at the commit at last."""
    with opened(volume / "job") as store:
        with transaction(store):
            write_all_kinds(store)
        before = content(store)
        ballast = volume / "ballast"
        with contextlib.suppress(OSError):
            ballast.write_bytes(bytes(8 << 20))
        with pytest.raises(StoreFull):
            write_forever(store)
        store.rollback()
        assert store.get("name")
        ballast.unlink()
        with transaction(store):
            store.put("after", b"value")
        assert store.get("after") == b"value"
        assert content(store)[1:] == before[1:]


def write_too_much(store: Store) -> None:
    """Write 12 MB in a transaction."""
    with transaction(store):
        store.put("name", b"other")
        for _ in range(200):
            store.append(b"big", bytes(60_000))


def write_forever(store: Store) -> None:
    """Write a little in each transaction."""
    for number in itertools.count():
        with transaction(store):
            store.put("name", b"%d" % number)


@pytest.mark.parametrize("volume", ["4m"], indirect=True)
def test_temporary_state_on_a_full_disk(volume: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It fails and is mended as durable state is."""
    monkeypatch.setattr("tempfile.tempdir", str(volume))
    with opened(None) as store:
        with transaction(store):
            write_all_kinds(store)
        before = content(store)
        with pytest.raises(StoreFull):
            write_too_much(store)
        store.rollback()
        assert content(store) == before
        with transaction(store):
            store.append(b"big", bytes(60_000))


def test_no_room_for_the_first_file(volume: Path) -> None:
    """A job does not start on a full disk, and starts when it is mended."""
    ballast = volume / "ballast"
    with contextlib.suppress(OSError):
        ballast.write_bytes(bytes(1 << 20))
    for _ in range(2):
        with pytest.raises(StoreFull):
            Store.open(str(volume / "job"))
    subprocess.run(["mount", "-o", "remount,size=2m", str(volume)], check=True)
    with opened(volume / "job") as store, transaction(store):
        write_all_kinds(store)


def disk_bytes(folder: Path) -> int:
    """Return what the files of a folder take of the disk."""
    return sum(each.stat().st_blocks * 512 for each in folder.iterdir())


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Space that is given back from 1 MiB on, each time that it is looked at."""
    monkeypatch.setattr(space, "LOG_BYTES_MAX", 4 << 20)
    monkeypatch.setattr(space, "PAGES_KEPT", 64)
    monkeypatch.setattr(space, "PERIOD_S", 0.0)
    return monkeypatch


@pytest.mark.parametrize("copied", [1_000, 0], ids=["written anew", "page by page"])
def test_the_disk_gets_back_what_was_deleted(
    tmp_path: Path, eager: pytest.MonkeyPatch, copied: int
) -> None:
    """A window that closed makes both files short again, and spares what else there is."""
    eager.setattr(space, "PAGES_COPIED", copied)
    eager.setattr(space, "SPARE_PER_COPIED", 1_000)
    with opened(tmp_path) as store:
        with transaction(store):
            store.append(b"first", b"x" * 3_000_000)
        fill(store, 24)
        with transaction(store):
            store.append(b"last", b"y" * 100_000)
        assert disk_bytes(tmp_path) > 24 << 20
        with transaction(store):
            store.delete(b"big")
        for number in range(100):
            with transaction(store):
                store.put("watermark", b"%d" % number)
        assert disk_bytes(tmp_path) < 10 << 20
        assert store.read(b"first")[0][1] == b"x" * 3_000_000
        assert store.read(b"last")[0][1] == b"y" * 100_000


def test_pages_that_are_filled_again_stay(tmp_path: Path, eager: pytest.MonkeyPatch) -> None:
    """What one transaction frees and the next one fills is not carried to and fro."""
    with opened(tmp_path) as store:
        eager.setattr(space, "PERIOD_S", 1_000.0)
        size = 0
        for _ in range(6):
            with transaction(store):
                store.append(b"big", bytes(8 << 20))
            size = size or pages(store)
            with transaction(store):
                store.delete(b"big")
            assert pages(store) == size


def test_spare_space_is_told_within_a_transaction(
    tmp_path: Path, eager: pytest.MonkeyPatch
) -> None:
    """Who has nothing to commit learns that it is worth it; afterwards it is not any more."""
    with opened(tmp_path) as store:
        fill(store, 8)
        store.begin()
        assert not store.has_spare_space()
        store.delete(b"big")
        assert not store.has_spare_space(), "free since a moment ago"
        assert store.has_spare_space(), "still free"
        store.commit()
        with transaction(store):
            assert not store.has_spare_space()
        assert disk_bytes(tmp_path) < 4 << 20


def test_a_store_that_is_cleared_takes_no_room(tmp_path: Path) -> None:
    """A job that has ended leaves an empty file, however much it held."""
    with opened(tmp_path) as store:
        with transaction(store):
            write_all_kinds(store)
        fill(store, 8)
        store.clear()
        assert disk_bytes(tmp_path) < 1 << 20
        assert store.items("") == []
        assert store.cells(b"") == []


def pages(store: Store) -> int:
    """Return how many pages the file has, free ones included."""
    return int(store._database.read("PRAGMA page_count")[0][0])


def test_the_log_of_a_large_transaction_is_cut(tmp_path: Path, eager: pytest.MonkeyPatch) -> None:
    """It would keep its size as long as the process lives."""
    log = tmp_path / f"{FILE}-wal"
    with opened(tmp_path) as store:
        with transaction(store):
            for _ in range(16):
                store.append(b"big", bytes(1 << 20))
        assert log.stat().st_size > 16 << 20
        with transaction(store):
            store.put("name", b"value")
        assert log.stat().st_size < 1 << 20


# Speed


def test_no_statement_walks_a_table(tmp_path: Path) -> None:
    """SQLite finds everything by an index, and sorts and collects nothing on the side."""
    with opened(tmp_path) as store:
        statements: set[str] = set()
        connection = store._database._ready()
        connection.set_trace_callback(statements.add)
        with transaction(store):
            write_all_kinds(store)
            content(store)
            store.read(b"cell", after=1, upto=2, bytes_max=3)
            store.delete(b"cell", upto=1)
            store.delete_prefix(b"c")
            store.cells(b"c", start=b"a", stop=b"z", limit=1)
            store.due_timers("step", 1, 5, 10)
            store.next_timer_us("step", 1)
            store.next_timer_us("step", 1, b"s")
            store.timer("step", b"slot")
            store.clear_timers("step", b"s")
            store.clear_timer("step", b"s")
            (number, *_), *_ = store.chunks()
            store.chunk_data(number)
            store.remove_chunk(number)
            store.put("name", None)
        connection.set_trace_callback(None)
        walks = [
            (statement, detail)
            for statement in statements
            if statement.split()[0] in {"SELECT", "DELETE", "INSERT", "REPLACE", "UPDATE"}
            for *_, detail in connection.execute(f"EXPLAIN QUERY PLAN {statement}")
            if "TEMP B-TREE" in detail
            or (detail.startswith("SCAN") and detail not in {"SCAN counter", "SCAN chunks"})
        ]
        assert len(statements) > 20
        assert not walks
