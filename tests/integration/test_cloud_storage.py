"""The object store against a server of Cloud Storage: commits, preconditions, locks, faults."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from connectors import lease, retry
from connectors.identity import IDENTITY_SCHEMA
from connectors.ledger import Ledger, Recovery
from connectors.objects import ObjectStore
from connectors.records import LakeFile
from connectors.run import Run
from connectors.transaction import MANIFEST, Transaction, encode_manifest
from tests.conftest import PUBLISHED
from tests.storage_servers import Fault, FaultyProxy, StorageServer, faults, new_bucket
from transforms.errors import ConfigError, PermanentError, TransientError

pytestmark = pytest.mark.integration

QUICK = retry.Backoff(first_s=0.02, limit_s=0.2, patience_s=20.0)


def names(root: str) -> list[str]:
    return sorted(file.name for file in ObjectStore().walk(root))


def stage(folder: str, root: str, run: str) -> LakeFile:
    """Stage one Parquet file and list it."""
    file = LakeFile(f"{folder}/a.parquet.staged", f"{root}/k=1/{run}.parquet", 2, 1)
    with ObjectStore().output(file.staged) as sink:
        pq.write_table(pa.table({"n": [1, 2]}), sink)
    ObjectStore().write(f"{folder}/{MANIFEST}", encode_manifest([file]))
    return file


@pytest.mark.parametrize("folder", ["/lake", "/deep/lake", ""])
def test_a_run_commits_to_objects(bucket: str, folder: str) -> None:
    """The same protocol as on disk: staged, recorded, renamed; nothing else is left."""
    root = bucket + folder
    with Run() as run:
        stage(run.add_lake(root), root, run.id)
        assert not [name for name in names(bucket) if name.endswith(".parquet")]
        run.commit({"rows": 2})
    final = f"{root}/k=1/{run.id}.parquet"
    with ObjectStore().input(final) as file:
        assert pq.read_table(file)["n"].to_pylist() == [1, 2]
    (commit,) = Ledger(root).commits()
    assert commit.counts == {"rows": 2}
    assert not [name for name in names(bucket) if "/staging/" in name or name.endswith(".lock")]


def test_an_interrupted_rename_is_repeated(bucket: str) -> None:
    """A crash between copy and delete leaves both; opening the lake finishes it."""
    root = f"{bucket}/lake"
    with Run() as run:
        file = stage(run.add_lake(root), root, run.id)
        content = ObjectStore().read(file.staged)
        run.commit({})
    ObjectStore().write(file.staged, content)
    assert Ledger(root).open().finished == [run.id]
    assert names(root) == [name for name in names(root) if "staging" not in name]
    assert not [name for name in names(bucket) if "staging" in name]


def test_a_live_run_is_left_alone_and_a_dead_one_removed(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on disk; a run is dead when its lock was not renewed for a while."""
    root = f"{bucket}/lake"
    transaction = Transaction.begin(Ledger(root), "20260101T000000000000-aaaaaa")
    stage(transaction.stage(root), root, transaction.run)
    assert Ledger(root).open() == Recovery()
    with _dead(transaction, monkeypatch):
        assert Ledger(root).open() == Recovery(removed=[transaction.run])
    assert not [name for name in names(bucket) if "staging" in name]
    with pytest.raises(PermanentError, match="the graph has not finished"):
        transaction.commit({}, {"rows": 2})
    transaction.close()


@contextlib.contextmanager
def _dead(transaction: Transaction, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let a run's locks look as if they had not been renewed for long."""
    for lock in transaction._locks:
        lock._released.set()  # type: ignore[attr-defined]
    with monkeypatch.context() as patch:
        patch.setattr(lease, "LEASE_S", -3600.0)
        yield


def test_a_run_that_only_seemed_dead_can_not_commit(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was stopped just before its record: whoever took it for dead has made that record."""
    root = f"{bucket}/lake"
    transaction = Transaction.begin(Ledger(root), "20260101T000000000000-aaaaaa")
    stage(transaction.stage(root), root, transaction.run)
    checked = transaction._refuse_messages_of_others

    def stopped_here(messages: object) -> None:
        checked({})
        with _dead(transaction, monkeypatch):
            assert Ledger(root).open().removed == [transaction.run]

    monkeypatch.setattr(transaction, "_refuse_messages_of_others", stopped_here)
    with pytest.raises(TransientError, match="taken for dead"):
        transaction.commit({}, {"rows": 2})
    transaction.close()
    assert Ledger(root).commits() == []
    assert [name for name in names(root) if name.endswith(".parquet")] == []


def test_the_lock_of_a_committer_is_taken_only_by_aborting_it(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or it could commit messages that the next holder has just found in no commit."""
    root = f"{bucket}/lake"
    ledger = Ledger(root)
    ledger.open()
    with monkeypatch.context() as patch:
        patch.setattr(lease, "RENEW_S", 3600.0)
        lock = ledger.store.lock(ledger.state, holder="20260101T000000000000-aaaaaa")
        patch.setattr(lease, "LEASE_S", -1.0)
        with ledger.locked():
            record = ledger.records.find("20260101T000000000000-aaaaaa")
    assert lock is not None
    assert record is not None
    assert record.aborted
    lock.release()


def test_two_runs_never_commit_the_same_messages(bucket: str) -> None:
    """As on disk: the second one is refused, and what it has staged is removed."""
    root = f"{bucket}/lake"
    messages = {"source": pa.table([["1"], [PUBLISHED]], IDENTITY_SCHEMA)}
    runs = [f"20260101T000000000000-00000{number}" for number in range(2)]
    first, second = (Transaction.begin(Ledger(root), run) for run in runs)
    for transaction in (first, second):
        stage(transaction.stage(root), root, transaction.run)
    first.commit(messages, {})
    with pytest.raises(TransientError, match="another run has committed 1 of the same messages"):
        second.commit(messages, {})
    second.close()
    first.close()
    assert [commit.id for commit in Ledger(root).commits()] == runs[:1]
    assert [name for name in names(root) if name.endswith(".parquet")] == [f"k=1/{runs[0]}.parquet"]
    assert not [name for name in names(bucket) if "/staging/" in name]


def test_one_of_many_gets_a_lock(bucket: str) -> None:
    """The others wait for it, or give up."""
    folder = f"{bucket}/lake"
    with ThreadPoolExecutor(8) as pool:
        locks = list(pool.map(lambda _: ObjectStore().lock(folder, wait_s=0), range(8)))
    held = [lock for lock in locks if lock is not None]
    assert len(held) == 1
    threading.Timer(0.3, held[0].release).start()
    later = ObjectStore().lock(folder, wait_s=10)
    assert later is not None
    assert later.taken_from == ""
    later.release()


def test_one_of_many_makes_an_object(bucket: str) -> None:
    """Whoever comes later is told so, unless the content is the same."""
    path = f"{bucket}/record"
    contents = [str(number).encode() for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda content: ObjectStore().write_new(path, content), contents))
    assert made.count(True) == 1
    assert ObjectStore().read(path) == contents[made.index(True)]
    assert ObjectStore().write_new(path, contents[made.index(True)])


def publish(folder: Path, path: str, content: bytes, rows: int) -> None:
    folder.mkdir(exist_ok=True)
    staged = folder / "staged"
    staged.write_bytes(content)
    ObjectStore(QUICK).publish(str(staged), path, rows)
    assert not staged.exists()


def test_who_publishes_again_finds_his_own(bucket: str, tmp_path: Path) -> None:
    """The object of the first try stays, also if the second one is encoded differently."""
    path = f"{bucket}/pane0.parquet"
    publish(tmp_path, path, b"first", 5)
    publish(tmp_path, path, b"second", 5)
    assert ObjectStore().read(path) == b"first"


def test_an_object_of_another_job_is_not_taken_for_our_own(bucket: str, tmp_path: Path) -> None:
    """Rows would be missing without a word."""
    path = f"{bucket}/pane0.parquet"
    publish(tmp_path, path, b"first", 5)
    with pytest.raises(PermanentError, match="two jobs write under one name"):
        publish(tmp_path, path, b"other", 6)


@pytest.mark.parametrize("fault", [408, 429, 500, 502, 503, 504, "drop", "lose"])
def test_every_call_is_tried_again(
    bucket: str, storage_server: StorageServer, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, fault: Fault,
) -> None:  # fmt: skip
    """Each request fails once: with each status, before it arrives, and after it was done."""
    seen: set[tuple[str, str]] = set()

    def once(method: str, path: str) -> Fault | None:
        # The parts of one upload differ in nothing but the id that the server gave.
        key = (method, path.partition("upload_id")[0])
        return None if key in seen else (seen.add(key), fault)[1]

    with FaultyProxy(storage_server.port, once) as proxy:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", proxy.url)
        store = ObjectStore(QUICK)
        content = os.urandom(9 << 20)  # large enough for an upload in parts
        publish(tmp_path, f"{bucket}/a/large", content, 1)
        assert store.read(f"{bucket}/a/large") == content
        assert store.write_new(f"{bucket}/a/new", b"n")
        store.rename(f"{bucket}/a/new", f"{bucket}/a/renamed")
        assert store.names(f"{bucket}/a") == ["large", "renamed"]
        store.remove_folder(f"{bucket}/a")
        assert store.names(f"{bucket}/a") == []
        assert proxy.injected >= 7


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_run_commits_through_a_bad_network(
    bucket: str, storage_server: StorageServer, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """A fifth of all requests fails in all ways; the lake is that of an undisturbed run."""
    root = f"{bucket}/lake"
    with FaultyProxy(storage_server.port, faults(seed, 0.2)) as proxy:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", proxy.url)
        with Run(stores=lambda _: ObjectStore(QUICK)) as run:
            stage(run.add_lake(root), root, run.id)
            run.commit({"rows": 2})
        print(f"seed {seed}: {proxy.injected} faults")
        assert proxy.injected > 0
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", storage_server.url)
    assert [name for name in names(root) if name.endswith(".parquet")] == [f"k=1/{run.id}.parquet"]
    (commit,) = Ledger(root).commits()
    assert commit.counts == {"rows": 2}


def test_denied_access_names_the_path_and_the_role(
    storage_server: StorageServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is tried again."""
    calls: list[tuple[str, str]] = []

    def deny(method: str, path: str) -> Fault:
        calls.append((method, path))
        return 403

    with FaultyProxy(storage_server.port, deny) as proxy:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", proxy.url)
        with pytest.raises(ConfigError, match=r"access is denied.*roles/storage.objectUser"):
            Ledger("gs://bucket/lake").open()
    assert len(set(calls)) == len(calls)


def test_a_missing_bucket_is_named(bucket: str) -> None:
    """The error says how to make it."""
    with pytest.raises(ConfigError, match="buckets create gs://no-such-bucket"):
        ObjectStore().write("gs://no-such-bucket/x", b"")


def test_a_service_that_is_gone_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """After the patience, with the way to start a server."""
    server = StorageServer(tmp_path)
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
    store = ObjectStore(retry.Backoff(patience_s=0.2))
    with pytest.raises(TransientError, match=f"STORAGE_EMULATOR_HOST={server.url}"):
        store.write("gs://bucket/x", b"")


def test_a_server_that_was_killed_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Killed in the middle of an upload and started again: the run commits all the same."""
    with StorageServer(tmp_path) as server:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
        root = f"{new_bucket(server.url)}/lake"
        with Run(stores=lambda _: ObjectStore(QUICK)) as run:
            folder = run.add_lake(root)
            server.kill()
            threading.Timer(0.5, server.start).start()
            stage(folder, root, run.id)
            run.commit({"rows": 2})
        assert [commit.id for commit in Ledger(root).commits()] == [run.id]
