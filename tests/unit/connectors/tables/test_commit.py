"""Adding files to real tables on disk: once, whoever tries and how often."""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from connectors.records import LakeFile
from connectors.tables import commit
from connectors.tables.commit import commit_files, next_version
from connectors.tables.errors import ConflictError
from connectors.tables.prepare import prepared
from connectors.tables.table import Table, open_table
from tests.tables import KINDS, commits_of, files_of, put_file, rows_of, spec_of
from transforms.errors import PermanentError, TransientError

APP = "headrace/job/Write"
SCHEMA = pa.schema([("n", pa.int64())])


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "lake"
    folder.mkdir()
    return folder


def opened(kind: str, root: Path) -> Table:
    """Return a table that is there, as another process would have it."""
    table = open_table(spec_of(kind, str(root)))
    prepared(table, spec_of(kind, str(root)), SCHEMA)
    return table


def file(kind: str, root: Path, number: int) -> LakeFile:
    """Write a file of one row, with the columns as the table wants them."""
    columns = prepared(opened(kind, root), spec_of(kind, str(root)), SCHEMA)
    rows = pa.Table.from_arrays([pa.array([number])], schema=columns)
    return put_file(root / f"{number}.parquet", rows)


def numbers(kind: str, root: Path) -> list[int]:
    return sorted(rows_of(kind, str(root))["n"].to_pylist())


def test_a_commit_is_made_once(kind: str, root: Path) -> None:
    """Tried again by the same process or another, it is recognised and adds nothing."""
    files = [file(kind, root, 1), file(kind, root, 2)]
    table = opened(kind, root)
    assert commit_files(table, APP, 1, files)
    assert not commit_files(table, APP, 1, files)
    assert not commit_files(opened(kind, root), APP, 1, list(reversed(files)))
    assert numbers(kind, root) == [1, 2]
    assert commits_of(kind, str(root)) == [(APP, 1)]
    assert next_version(opened(kind, root), APP) == 2
    assert next_version(opened(kind, root), "headrace/other/Write") == 1


def test_a_commit_that_comes_late_was_made(kind: str, root: Path) -> None:
    """A worker that counted as dead finds that others have gone on."""
    files = {version: [file(kind, root, version)] for version in (1, 2, 3)}
    table = opened(kind, root)
    for version, each in files.items():
        assert commit_files(table, APP, version, each)
    for version, each in files.items():
        assert not commit_files(opened(kind, root), APP, version, each)
    assert numbers(kind, root) == [1, 2, 3]


def test_other_files_under_a_number_that_is_taken_are_refused(kind: str, root: Path) -> None:
    """Else their rows would be lost: a job begun anew under an old name counts from 1 again."""
    table = opened(kind, root)
    commit_files(table, APP, 1, [file(kind, root, 1)])
    with pytest.raises(PermanentError, match=r"other files as commit 1.*\(job\)"):
        commit_files(opened(kind, root), APP, 1, [file(kind, root, 2)])
    assert numbers(kind, root) == [1]


class Stale:
    """A table whose writer has looked, and is overtaken before it commits."""

    def __init__(self, table: Table, overtake: Any) -> None:
        self._table, self._overtake = table, overtake
        self.tries = 0

    def append(self, *arguments: Any) -> None:
        self.tries += 1
        self._overtake(self.tries)
        self._table.append(*arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._table, name)


def test_two_that_have_both_looked_commit_once(kind: str, root: Path) -> None:
    """The second meets a conflict, looks again, and is done."""
    files = [file(kind, root, 1)]
    other = opened(kind, root)
    table = Stale(opened(kind, root), lambda _: commit_files(other, APP, 1, files))
    assert not commit_files(table, APP, 1, files)
    assert table.tries == 1
    assert numbers(kind, root) == [1]
    assert len(commits_of(kind, str(root))) == 1


def test_a_commit_of_others_does_not_keep_ours_from_being_made(kind: str, root: Path) -> None:
    """Overtaken twice by other apps, it is made all the same, and once."""
    ours = [file(kind, root, 0)]
    others = {number: [file(kind, root, number)] for number in (1, 2)}
    other = opened(kind, root)

    def overtake(tries: int) -> None:
        if tries in others:
            commit_files(other, "headrace/other/Write", tries, others[tries])

    table = Stale(opened(kind, root), overtake)
    assert commit_files(table, APP, 1, ours)
    # Delta Lake takes what only adds files although it was overtaken, Iceberg does not.
    overtaken = {"delta": [1], "iceberg": [1, 2]}[kind]
    assert numbers(kind, root) == [0, *overtaken]
    assert commits_of(kind, str(root))[-1] == (APP, 1)


def test_whoever_is_always_overtaken_gives_up(
    kind: str, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a bounded number of tries, and says what helps."""

    def overtake(_tries: int) -> None:
        raise ConflictError("overtaken")

    monkeypatch.setattr(commit, "TRIES_MAX", 3)
    table = Stale(opened(kind, root), overtake)
    with pytest.raises(TransientError, match=r"3 times.*commit_s"):
        commit_files(table, APP, 1, [file(kind, root, 1)])
    assert table.tries == 3
    assert numbers(kind, root) == []


def test_an_answer_that_is_lost_is_no_second_commit(kind: str, root: Path) -> None:
    """The commit was made, but whoever made it is not told: it looks again."""
    files = [file(kind, root, 1)]

    class Lost(Stale):
        def append(self, *arguments: Any) -> None:
            super().append(*arguments)
            raise ConflictError("no answer")

    assert not commit_files(Lost(opened(kind, root), lambda _: None), APP, 1, files)
    assert numbers(kind, root) == [1]


def test_writers_at_a_time_lose_and_repeat_nothing(kind: str, root: Path) -> None:
    """Four jobs with five commits each, every one of them tried by two processes."""
    writers, commits = 4, 5
    files = [[file(kind, root, 10 * writer + each) for each in range(commits)]
             for writer in range(writers)]  # fmt: skip
    start = threading.Barrier(2 * writers)

    def write(number: int) -> int:
        table = opened(kind, root)
        start.wait()
        return sum(
            commit_files(table, f"headrace/{number % writers}/Write", version, [each])
            for version, each in enumerate(files[number % writers], 1)
        )

    with ThreadPoolExecutor(2 * writers) as pool:
        made = list(pool.map(write, range(2 * writers)))
    assert sum(made) == writers * commits
    assert numbers(kind, root) == sorted(10 * w + c for w in range(writers) for c in range(commits))


def test_many_commits_keep_their_numbers(kind: str, root: Path) -> None:
    """Also when the log was folded into checkpoints, or old snapshots are out of sight."""
    table = opened(kind, root)
    versions = 25
    for version in range(1, versions + 1):
        commit_files(table, APP, version, [file(kind, root, version)])
    chance = random.Random(1)
    for version in chance.sample(range(1, versions + 1), 5):
        assert not commit_files(opened(kind, root), APP, version, [file(kind, root, version)])
    assert len(files_of(kind, str(root))) == versions


def test_a_file_that_is_gone_is_refused(kind: str, root: Path) -> None:
    """A table that names it could not be read."""
    missing = file(kind, root, 1)
    Path(missing.path).unlink()
    with pytest.raises(PermanentError, match="is gone before it was added"):
        commit_files(opened(kind, root), APP, 1, [missing])
    assert commits_of(kind, str(root)) == []


def test_a_file_that_was_replaced_is_refused(kind: str, root: Path) -> None:
    """By another job that writes under the same name."""
    ours = file(kind, root, 1)
    other = LakeFile("", ours.path, 2, ours.bytes)
    with pytest.raises(PermanentError, match="has 1 rows, not the 2"):
        commit_files(opened(kind, root), APP, 1, [other])
