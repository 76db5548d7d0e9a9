"""Kill a job that writes a table of Delta Lake or Iceberg: each row is in it once."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from connectors import finish
from connectors.records import LakeFile
from connectors.run import Run
from connectors.tables.prepare import prepared
from connectors.tables.spec import Level
from connectors.tables.table import open_table
from connectors.transaction import MANIFEST, encode_manifest
from tests.faults import Crash, Fuse, MortalStore
from tests.lives import AT_TABLES, Life, Lives
from tests.numbers_job import BATCH, Job, expected
from tests.tables import KINDS, commits_of, files_of, rows_of, spec_of

pytestmark = [pytest.mark.chaos, pytest.mark.integration, pytest.mark.timeout(600)]

SEEDS = [int(seed) for seed in os.environ.get("HEADRACE_CHAOS_SEEDS", "1,2").split(",")]
COUNT = 60_000
DEATHS = 5
SCHEMA = pa.schema([("n", pa.int64()), ("k", pa.int64())])


@pytest.fixture(scope="module")
def lives(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lives]:
    with Lives(tmp_path_factory.mktemp("lives") / "log") as started:
        yield started


def a_death(rng: random.Random, folder: Path, kind: str) -> Life:
    """Draw how the next life ends: mostly close to a commit of the table."""
    moment = rng.choice(AT_TABLES)
    after = rng.randrange(25) if moment == "after the commit" else rng.choice([0, 0, 1, 2])
    return Life(str(folder), COUNT, variant=kind, moment=moment, after=after)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", SEEDS)
def test_a_job_without_end_that_is_killed_adds_each_row_once(
    kind: str, seed: int, lives: Lives, tmp_path: Path
) -> None:
    """Killed at any moment, it goes on: no row is lost or double, and commits are in order."""
    rng = random.Random(seed)
    folder, deaths, end = tmp_path / "job", Counter[str](), ""
    while end != "DONE" and deaths.total() < DEATHS:
        end = lives.live(a_death(rng, folder, kind))
        assert end == "DONE" or end.startswith("killed "), end
        deaths[end] += end != "DONE"
    print(f"seed {seed}, {kind}: {dict(deaths)}")
    if end != "DONE":
        assert lives.live(Life(str(folder), COUNT, variant=kind)) == "DONE"
    root = str(folder / "lake")
    rows, _ = expected(COUNT // BATCH)
    assert sorted(rows_of(kind, root)["n"].to_pylist()) == rows, f"seed {seed}"
    versions = [version for _, version in commits_of(kind, root)]
    assert versions == sorted(set(versions))
    # A file that was written again has the name of the one before.
    assert files_of(kind, root) == sorted(map(str, Path(root).glob("*.parquet")))
    assert not list(Path(Job(str(folder), COUNT).folder).rglob("*.staged"))


class Dying:
    """Adds files to tables, and dies before or after it, at one of its calls.

    Args:
        fuse: burns at every call.
    """

    def __init__(self, fuse: Fuse) -> None:
        self._fuse = fuse
        self._commit = finish.commit_files

    def __call__(self, *arguments: object) -> bool:
        self._fuse.burn()
        made = self._commit(*arguments)  # type: ignore[arg-type]
        self._fuse.burn()
        return made


def run(root: str, number: int, kind: str, fuse: Fuse) -> None:
    """Commit a run of two files, with stores that die when the fuse is burnt."""
    spec = spec_of(kind, root, Level("k", "k"))
    with Run(stores=lambda _: MortalStore(fuse)) as whole:
        stage = whole.add_lake(root, spec)
        columns = prepared(open_table(spec), spec, SCHEMA)
        files = [staged_file(stage, root, number + k, k, columns) for k in (0, 1)]
        MortalStore(fuse).write(f"{stage}/{MANIFEST}", encode_manifest(files))
        whole.commit({})


def staged_file(stage: str, root: str, number: int, k: int, columns: pa.Schema) -> LakeFile:
    """Write a row as a step of the graph would, which is no step of the commit."""
    values = {"n": pa.array([number]), "k": pa.array([k])}
    # Delta Lake has the columns of partitions in the log alone.
    kept = [field for field in columns if field.name == "n" or field.metadata]
    rows = pa.Table.from_arrays([values[field.name] for field in kept], schema=pa.schema(kept))
    staged = f"{stage}/{number}.parquet.staged"
    pq.write_table(rows, staged)
    return LakeFile(staged, f"{root}/k={k}/{number}.parquet", 1, Path(staged).stat().st_size)


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_that_dies_at_any_step_is_in_the_table_or_not(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At each step of the commit; the next run finishes it or takes it back, and adds its own."""
    place, before = tmp_path / "now", tmp_path / "before"
    root = str(place / "lake")
    run(root, 0, kind, Fuse())
    shutil.copytree(place, before)
    step, done, outcomes = 0, False, Counter[bool]()
    while not done:
        # Always under one name: the log of Iceberg has whole paths.
        shutil.rmtree(place)
        shutil.copytree(before, place)
        fuse = Fuse(step)
        with monkeypatch.context() as patch:
            patch.setattr(finish, "commit_files", Dying(fuse))
            with contextlib.suppress(Crash):
                run(root, 10, kind, fuse)
                done = True
        run(root, 20, kind, Fuse())
        found = sorted(rows_of(kind, root)["n"].to_pylist())
        assert found in ([0, 1, 20, 21], [0, 1, 10, 11, 20, 21]), f"step {step}"
        outcomes[10 in found] += 1
        assert files_of(kind, root) == sorted(map(str, Path(root).glob("k=*/*.parquet")))
        versions = [version for _, version in commits_of(kind, root)]
        assert versions == list(range(1, len(versions) + 1))
        step += 1
    assert min(outcomes[True], outcomes[False]) > 3
