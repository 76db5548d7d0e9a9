"""What the ledger of a lake keeps, where, and for how long."""

from __future__ import annotations

import contextlib
import datetime as dt
import errno
import os
import posixpath
import shutil
from pathlib import Path

import msgspec
import pyarrow as pa
import pytest

from connectors.identity import IDENTITY_SCHEMA
from connectors.ledger import LakeFile, Ledger, Recovery
from connectors.local_store import LocalStore
from connectors.store import Lock
from connectors.transaction import MANIFEST, Transaction, encode_manifest
from tests.conftest import PUBLISHED
from tests.faults import Crash, Fuse, MortalStore
from transforms.errors import ConfigError, PermanentError, TransientError

SOURCE = "projects/p/subscriptions/s"


def messages(ids: list[str]) -> pa.Table:
    """Return messages of one moment."""
    return pa.table([ids, [PUBLISHED] * len(ids)], IDENTITY_SCHEMA)


def commit(root: Path, run: str, ids: list[str]) -> None:
    """Commit a run that read messages and wrote no file."""
    transaction = Transaction.begin(Ledger(str(root)), run)
    stage = Path(transaction.stage(str(root)))
    (stage / MANIFEST).write_text("[]")
    transaction.commit({SOURCE: messages(ids)}, {})
    transaction.close()


def run_id(days_ago: float, suffix: str = "aaaaaa") -> str:
    time = dt.datetime.now(dt.timezone.utc) - dt.timedelta(days=days_ago)
    return f"{time:%Y%m%dT%H%M%S%f}-{suffix}"


def age(root: Path, run: str, days: float) -> None:
    """Make a commit as old as its id says."""
    path = Path(Ledger(str(root)).state, "commits", f"{run}.json")
    record = msgspec.json.decode(path.read_bytes())
    time = dt.datetime.now(dt.timezone.utc) - dt.timedelta(days=days)
    path.write_bytes(msgspec.json.encode({**record, "time": time}))


@pytest.mark.parametrize(
    ("days", "acknowledged", "kept"),
    [(6, True, True), (8, True, False), (8, False, True), (30, False, True), (32, False, False)],
)
def test_messages_are_remembered_while_they_may_come_again(
    tmp_path: Path, days: float, acknowledged: bool, kept: bool
) -> None:
    """Seven days after an acknowledgement, and the longest retention without one."""
    root, run = tmp_path / "lake", run_id(days)
    commit(root, run, ["1", "2"])
    if acknowledged:
        Ledger(str(root)).records.mark_acknowledged(run)
    age(root, run, days)
    ledger = Ledger(str(root))
    ledger.recover()
    remembered = ledger.records.messages(ledger.records.runs(), SOURCE)
    assert remembered == messages(["1", "2"] if kept else [])
    assert bool(os.listdir(Path(ledger.state, "commits"))) == kept


def test_death_during_expiry_leaves_no_commit_without_its_messages(tmp_path: Path) -> None:
    """Records go first, and the next that opens the lake sweeps up the rest."""
    root, run = tmp_path / "lake", run_id(8)
    commit(root, run, ["1"])
    Ledger(str(root)).records.mark_acknowledged(run)
    age(root, run, 8)
    for step in range(3):
        fuse = Fuse(step)
        with contextlib.suppress(Crash):
            Ledger(str(root), stores=lambda _, fuse=fuse: MortalStore(fuse)).recover()
        records = Ledger(str(root)).records
        assert records.messages(records.runs(), SOURCE) == messages(["1"] * (step == 0))
    Ledger(str(root)).recover()
    assert os.listdir(Path(Ledger(str(root)).state, "commits")) == []


def test_a_long_run_counts_from_its_commit(tmp_path: Path) -> None:
    """The horizon begins with the commit, however long ago the run began."""
    root, run = tmp_path / "lake", run_id(9)
    commit(root, run, ["1"])
    Ledger(str(root)).records.mark_acknowledged(run)
    Ledger(str(root)).recover()
    assert Ledger(str(root)).records.runs() == [run]


def test_a_live_run_is_left_alone(tmp_path: Path) -> None:
    """Opening a lake removes what the dead have staged, and nothing of the living."""
    root = tmp_path / "lake"
    live = Transaction.begin(Ledger(str(root)), run_id(0, "000001"))
    dead = Path(live.stage(str(root))).parent.with_name(run_id(0, "000002"))
    dead.mkdir()
    recovery = Ledger(str(root)).open()
    assert recovery.removed == [dead.name]
    assert not dead.exists()
    live.close()


def test_the_folder_of_a_writer_is_its_own_while_it_lives(tmp_path: Path) -> None:
    """Opening the lake removes it when the lock is gone, as it is when the process has died."""
    ledger = Ledger(str(tmp_path / "lake"))
    ledger.open()
    folder, lock = ledger.occupy("job.1")
    (Path(folder) / "file.staged").write_bytes(b"half")
    assert ledger.open() == Recovery()
    lock.release()
    assert ledger.open() == Recovery(removed=["job.1"])
    assert not os.path.exists(folder)


def test_a_folder_that_is_occupied_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two writers of one name would take each other's files for their own."""
    ledger = Ledger(str(tmp_path / "lake"))
    ledger.open()
    _, lock = ledger.occupy("job.1")
    monkeypatch.setattr(LocalStore.lock, "__defaults__", (0.0, ""))
    with pytest.raises(TransientError, match="keeps the lock"):
        ledger.occupy("job.1")
    lock.release()


def test_a_deleted_lake_takes_its_state_along(tmp_path: Path) -> None:
    """A new folder of the same name knows no messages, although the old state lies beside it."""
    root = tmp_path / "lake"
    commit(root, run_id(0), ["1"])
    shutil.rmtree(root)
    ledger = Ledger(str(root))
    ledger.open()
    assert ledger.commits() == []


def test_data_and_state_lie_apart(tmp_path: Path) -> None:
    """The folder of the lake holds an empty file and nothing else of ours."""
    root = tmp_path / "lake"
    commit(root, run_id(0), ["1"])
    (tie,) = root.iterdir()
    assert tie.name.startswith("_lake-")
    assert tie.stat().st_size == 0
    assert Ledger(str(root)).state == str(tmp_path / ".lake.headrace")


def test_a_link_leads_to_the_same_state(tmp_path: Path) -> None:
    """A lake that is reached by two names has one ledger, so that no row is written twice."""
    root, link = tmp_path / "lake", tmp_path / "elsewhere" / "link"
    commit(root, run_id(0), ["1"])
    link.parent.mkdir()
    link.symlink_to(root)
    ledger = Ledger(str(link))
    ledger.open()
    assert ledger.state == Ledger(str(root)).state
    assert ledger.records.messages(ledger.records.runs(), SOURCE) == messages(["1"])
    assert os.listdir(link.parent) == ["link"]


def test_two_transactions_exclude_each_other(tmp_path: Path) -> None:
    """Whoever waits too long for a lake's lock says so."""
    ledger = Ledger(str(tmp_path / "lake"))
    ledger.open()
    lock = ledger.store.lock(ledger.state)
    assert lock is not None
    assert ledger.store.lock(ledger.state, wait_s=0.02) is None
    lock.release()
    second = ledger.store.lock(ledger.state, wait_s=0)
    assert second is not None
    second.release()


@pytest.mark.parametrize("root", ["/proc/lake", "/dev/null/lake"])
def test_a_folder_that_cannot_be_written_is_refused(root: str) -> None:
    """The error names the folder and the fix before anything is read."""
    with pytest.raises(ConfigError, match=f"path='{root}': can't be written.*Choose a folder"):
        Ledger(root).open()


class NoRename(LocalStore):
    """Dies when the first data file is to move to its final name."""

    def rename(self, source: str, target: str) -> None:
        if source.endswith(".staged"):
            raise Crash
        super().rename(source, target)


def die_after_the_record(root: Path, run: str) -> LakeFile:
    """Leave a run that has committed one file, which has not moved yet."""
    transaction = Transaction.begin(Ledger(str(root), stores=lambda _: NoRename()), run)
    stage = Path(transaction.stage(str(root)))
    file = LakeFile(str(stage / "a.staged"), str(root / "k=1" / "a.rows"), 1, 3)
    Path(file.staged).write_text("row")
    (stage / MANIFEST).write_bytes(encode_manifest([file]))
    with pytest.raises(Crash):
        transaction.commit({SOURCE: messages(["1"])}, {})
    for lock in transaction._locks:
        lock.release()
    return file


def test_a_lake_that_was_moved_before_it_was_finished_is_refused(tmp_path: Path) -> None:
    """Rows that can't be found are not taken for moved; where the lake was, they appear."""
    root, away, run = tmp_path / "lake", tmp_path / "away", run_id(0)
    file = die_after_the_record(root, run)
    root.rename(away)
    (tmp_path / ".lake.headrace").rename(tmp_path / ".away.headrace")
    with pytest.raises(PermanentError) as caught:
        Ledger(str(away)).open()
    for part in (run, file.staged, file.path, "move it back to where it was"):
        assert part in str(caught.value)
    assert not root.exists()
    away.rename(root)
    (tmp_path / ".away.headrace").rename(tmp_path / ".lake.headrace")
    assert Ledger(str(root)).open().finished == [run]
    assert Path(file.path).read_text() == "row"


def test_a_missing_primary_keeps_its_staged_files(tmp_path: Path) -> None:
    """Files of a run are not removed while the lake that knows its fate is away."""
    transaction = Transaction.begin(Ledger(str(tmp_path / "first")), run_id(0))
    stage = Path(transaction.stage(str(tmp_path / "second")))
    for lock in transaction._locks:
        lock.release()
    (tmp_path / ".first.headrace").rename(tmp_path / "away")
    assert Ledger(str(tmp_path / "second")).open().removed == []
    assert stage.exists()
    (tmp_path / "away").rename(tmp_path / ".first.headrace")
    assert Ledger(str(tmp_path / "second")).open().removed == [transaction.run]
    assert not stage.exists()


class MountedTwice(LocalStore):
    """A lake that is a bind mount: the device of what lies beside it, but no way in."""

    def rename(self, source: str, target: str) -> None:
        if posixpath.basename(posixpath.dirname(target)) == "lake" and "/lake/" not in source:
            raise OSError(errno.EXDEV, "Invalid cross-device link", source)
        super().rename(source, target)


def test_the_state_lies_inside_where_only_a_rename_tells_that_it_must(tmp_path: Path) -> None:
    """It is found out before the first commit, and nothing is left beside the lake."""
    root = tmp_path / "lake"
    for _ in range(2):
        ledger = Ledger(str(root), stores=lambda _: MountedTwice())
        ledger.open()
        assert ledger.state == str(root / "_headrace")
    assert os.listdir(tmp_path) == ["lake"]
    assert sorted(os.listdir(root))[0] == "_headrace"
    assert len(os.listdir(root)) == 2


@pytest.mark.parametrize(
    ("number", "kind", "said"),
    [
        (errno.ENOSPC, TransientError, "disk full while writing to {root}: .*Free some space"),
        (errno.EROFS, PermanentError, "can't write to {root}: .*Read-only"),
    ],
)
def test_what_cannot_be_finished_is_said_of_the_lake(
    tmp_path: Path, number: int, kind: type[Exception], said: str
) -> None:
    """An error of the system during recovery comes with the lake and what to do."""

    class Ill(LocalStore):
        def rename(self, source: str, target: str) -> None:
            if source.endswith(".staged"):
                raise OSError(number, os.strerror(number), source)
            super().rename(source, target)

    root = tmp_path / "lake"
    die_after_the_record(root, run_id(0))
    with pytest.raises(kind, match=said.format(root=root)):
        Ledger(str(root), stores=lambda _: Ill()).open()
    assert len(Ledger(str(root)).open().finished) == 1


def test_a_folder_that_vanishes_during_recovery_is_no_error(tmp_path: Path) -> None:
    """The run that it belongs to was quicker to remove it."""
    root = tmp_path / "lake"
    Ledger(str(root)).open()
    run = Path(Ledger(str(root)).staging, run_id(0))

    class Late(LocalStore):
        def lock(self, folder: str, wait_s: float = 1.0, holder: str = "") -> Lock | None:
            if folder == str(run):
                run.rmdir()
            return super().lock(folder, wait_s, holder)

    run.mkdir()
    assert Ledger(str(root), stores=lambda _: Late()).open() == Recovery()
    assert not run.exists()


def test_staged_files_are_removed_under_the_lock(tmp_path: Path) -> None:
    """A run that ends does not get in the way of another's recovery; if it must, it leaves them."""
    held: list[bool] = []

    class Watching(LocalStore):
        def lock(self, folder: str, wait_s: float = 1.0, holder: str = "") -> Lock | None:
            return super().lock(folder, min(wait_s, 0.02))

        def remove_folder(self, folder: str) -> None:
            if folder.endswith(run):
                held.append(LocalStore().lock(ledger.state, wait_s=0) is None)
            super().remove_folder(folder)

    run = run_id(0)
    ledger = Ledger(str(tmp_path / "lake"), stores=lambda _: Watching())
    Transaction.begin(ledger, run).close()
    assert held == [True]
    transaction = Transaction.begin(ledger, run)
    with ledger.locked():
        transaction.close()
    assert ledger.store.exists(posixpath.join(ledger.staging, run))
    assert ledger.open().removed == [run]


def test_the_state_of_a_mount_point_lies_inside(volume: Path) -> None:
    """Files can't be renamed from beside a mount point into it."""
    commit(volume, run_id(0), ["1"])
    assert Ledger(str(volume)).state == str(volume / "_headrace")
    assert len(Ledger(str(volume)).commits()) == 1


def test_a_full_disk_at_the_commit_leaves_nothing(volume: Path) -> None:
    """The error says what was kept and what to do; nothing is committed."""
    transaction = Transaction.begin(Ledger(str(volume)), run_id(0))
    stage = Path(transaction.stage(str(volume)))
    (stage / MANIFEST).write_text("[]")
    ids = [os.urandom(20).hex() for _ in range(40_000)]
    with pytest.raises(TransientError, match=r"disk full while writing.*Free some space"):
        transaction.commit({SOURCE: messages(ids)}, {})
    transaction.close()
    assert Ledger(str(volume)).open().finished == []
    assert Ledger(str(volume)).commits() == []
    assert not stage.exists()
