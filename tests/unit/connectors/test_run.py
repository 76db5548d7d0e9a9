"""A run commits as a whole, whatever step is its last."""

from __future__ import annotations

import contextlib
import datetime as dt
import errno
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import apache_beam as beam
import pyarrow as pa
import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from connectors.identity import IDENTITY_SCHEMA
from connectors.ledger import LakeFile, Ledger
from connectors.local_store import LocalStore
from connectors.run import Limits, Run
from connectors.store import Store
from connectors.transaction import MANIFEST, encode_manifest
from tests.conftest import PUBLISHED
from tests.faults import Crash, Fuse, MortalStore
from transforms.errors import PermanentError, TransientError

SUBSCRIPTION = "projects/p/subscriptions/s"


class Identity(NamedTuple):
    """What a message is recognised by."""

    id: str
    published: dt.datetime


class Broker:
    """Delivers what is not acknowledged: messages with a number as payload."""

    def __init__(self, count: int, published: dt.datetime = PUBLISHED) -> None:
        self.published = published
        self.waiting = self.messages(range(count))

    def messages(self, numbers: Iterable[int]) -> dict[Identity, int]:
        return {Identity(f"id-{number}", self.published): number for number in numbers}

    def publish(self, count: int) -> None:
        start = 1_000 + len(self.waiting)
        self.waiting.update(self.messages(range(start, start + count)))


class Reader:
    """A source as ``pubsub.Read`` registers it, acknowledging one message per step."""

    name = SUBSCRIPTION

    def __init__(self, broker: Broker, taken: dict[Identity, int], fuse: Fuse) -> None:
        self.broker, self.taken, self.fuse = broker, taken, fuse
        self.released = False

    def messages(self) -> pa.Table:
        rows = [dict(zip(IDENTITY_SCHEMA.names, message, strict=True)) for message in self.taken]
        return pa.Table.from_pylist(rows, IDENTITY_SCHEMA)

    def acknowledge(self) -> None:
        for message in self.taken:
            self.fuse.burn()
            self.broker.waiting.pop(message, None)

    def release(self) -> None:
        self.released = True


def run_once(root: Path, broker: Broker, fuse: Fuse | None = None) -> Run:
    """Do what a pipeline does: read, drop what was committed, write two lakes, commit."""
    fuse = fuse or Fuse()
    with Run(stores=lambda _: MortalStore(fuse)) as run:
        work(run, root, broker, fuse)
    return run


def work(run: Run, root: Path, broker: Broker, fuse: Fuse) -> None:
    store = MortalStore(fuse)
    stages = [run.add_lake(str(root / name)) for name in ("even", "odd")]
    committed = run.committed_messages(SUBSCRIPTION).to_pylist()
    known = {Identity(*message.values()) for message in committed}
    Reader(broker, {m: n for m, n in broker.waiting.items() if m in known}, fuse).acknowledge()
    taken = {m: n for m, n in broker.waiting.items() if m not in known}
    run.add_source(Reader(broker, taken, fuse))
    for remainder, (name, stage) in enumerate(zip(("even", "odd"), stages, strict=True)):
        numbers = [number for number in taken.values() if number % 2 == remainder]
        stage_numbers(store, stage, root / name, run.id, numbers)
    run.commit({"messages_read": len(taken)})


def stage_numbers(store: Store, stage: str, root: Path, run: str, numbers: list[int]) -> None:
    """Stage a file per last digit, and list them, as ``lake.Write`` does."""
    files = []
    for digit in sorted({number % 10 for number in numbers}):
        content = "".join(f"{number}\n" for number in numbers if number % 10 == digit)
        staged = f"{stage}/{digit}.staged"
        with store.output(staged) as file:
            file.write(content.encode())
        final = root / f"digit={digit}" / f"{run}.rows"
        files.append(LakeFile(staged, str(final), content.count("\n"), len(content)))
    store.write(f"{stage}/{MANIFEST}", encode_manifest(files))


def numbers_in(root: Path) -> list[int]:
    """Read every file that is visible in both lakes."""
    files = [path for name in ("even", "odd") for path in (root / name).rglob("*.rows")]
    return sorted(int(line) for path in files for line in path.read_text().splitlines())


def leftovers(root: Path) -> list[Path]:
    return [path for path in root.rglob("*.staged") if path.is_file()] + [
        path for path in root.rglob("*.tmp") if path.is_file()
    ]


def survive(root: Path, fuses: list[Fuse]) -> tuple[list[int], Broker]:
    """Two runs with messages between them, dying as the fuses say and started again."""
    broker = Broker(4)
    spare = iter(fuses)
    for more in (3, 0):
        while broker.waiting:
            with contextlib.suppress(Crash):
                run_once(root, broker, next(spare, None))
        broker.publish(more)
    run_once(root, broker)
    return numbers_in(root), broker


def steps_of_a_life(tmp_path: Path, earlier: int = 0) -> int:
    """Count the steps of a run that follows so many others."""
    fuses = [Fuse() for _ in range(earlier + 1)]
    survive(tmp_path / "count", fuses)
    return fuses[-1].steps


@pytest.mark.parametrize(
    ("power", "earlier"), [(False, 0), (True, 0), (True, 1)],
    ids=["killed", "power lost", "power lost in a lake with commits"],
)  # fmt: skip
def test_death_at_any_step_leaves_each_row_once(tmp_path: Path, power: bool, earlier: int) -> None:
    """Whichever step of a run is its last, the lakes end as if nothing had happened."""
    expected, _ = survive(tmp_path / "undisturbed", [])
    assert expected == [0, 1, 2, 3, 1000, 1001, 1002]
    steps = steps_of_a_life(tmp_path, earlier)
    assert steps > 50
    for step in range(steps):
        root = tmp_path / str(step)
        numbers, broker = survive(root, [*(Fuse() for _ in range(earlier)), Fuse(step, power)])
        assert numbers == expected, f"died at step {step} of {steps}"
        assert not broker.waiting
        assert not leftovers(root), f"died at step {step}"


@pytest.mark.parametrize("power", [False, True], ids=["killed", "power lost"])
def test_death_during_recovery_leaves_each_row_once(tmp_path: Path, power: bool) -> None:
    """A run that dies while it finishes what a dead one has left is recovered in turn."""
    seed = 20_130_101
    print("seed", seed)
    dice = random.Random(seed)
    steps = steps_of_a_life(tmp_path)
    expected, _ = survive(tmp_path / "undisturbed", [])
    for trial in range(30):
        deaths = [dice.randrange(steps), dice.randrange(steps // 2), dice.randrange(steps)]
        root = tmp_path / str(trial)
        numbers, _ = survive(root, [Fuse(step, power) for step in deaths])
        assert numbers == expected, f"died at steps {deaths}"
        assert not leftovers(root), f"died at steps {deaths}"


def test_messages_of_two_runs_are_committed_by_the_first(tmp_path: Path) -> None:
    """A run gives up if another has committed some of its messages; it acknowledges nothing."""
    broker = Broker(3)
    reader = Reader(broker, broker.messages([0, 1, 2, 9]), Fuse())
    with Run() as late:
        stage = late.add_lake(str(tmp_path / "even"))
        run_once(tmp_path, broker)
        late.add_source(reader)
        stage_numbers(LocalStore(), stage, tmp_path / "even", late.id, [0, 1, 2, 9])
        with pytest.raises(TransientError, match="another run has committed 3 of the same"):
            late.commit({})
    assert reader.released
    assert numbers_in(tmp_path) == [0, 1, 2]
    assert not leftovers(tmp_path)


def test_ids_of_a_new_broker_are_other_messages(tmp_path: Path) -> None:
    """Ids that come again at another publish time are no redelivery, whoever commits first."""
    later = Broker(3, PUBLISHED + dt.timedelta(microseconds=1))
    reader = Reader(later, dict(later.waiting), Fuse())
    with Run() as late:
        stage = late.add_lake(str(tmp_path / "even"))
        run_once(tmp_path, Broker(3))
        late.add_source(reader)
        stage_numbers(LocalStore(), stage, tmp_path / "even", late.id, [0, 1, 2])
        assert late.commit({}).acknowledged
    run_once(tmp_path, Broker(2, PUBLISHED + dt.timedelta(days=1)))
    assert numbers_in(tmp_path) == [0, 0, 0, 1, 1, 1, 2, 2]
    assert not later.waiting


def test_a_run_that_fails_gives_its_messages_back(tmp_path: Path) -> None:
    """Whoever leaves without a commit releases the sources and removes what was staged."""
    broker = Broker(1)
    reader = Reader(broker, dict(broker.waiting), Fuse())
    with Run() as run:
        stage = run.add_lake(str(tmp_path / "even"))
        run.add_source(reader)
        stage_numbers(LocalStore(), stage, tmp_path / "even", run.id, [0])
    assert reader.released
    assert list(broker.waiting.values()) == [0]
    assert not Path(stage).exists()
    assert numbers_in(tmp_path) == []


def test_a_graph_that_listed_no_files_cannot_commit(tmp_path: Path) -> None:
    """The manifest is the graph's last step: without it nothing is committed."""
    with Run() as run:
        run.add_lake(str(tmp_path / "even"))
        with pytest.raises(PermanentError, match="the graph has not finished"):
            run.commit({})
    assert Ledger(str(tmp_path / "even")).commits() == []


def test_a_run_without_lake_acknowledges() -> None:
    """Where no lake is written, success of the graph is all there is to commit."""
    broker = Broker(2)
    with Run() as run:
        run.add_source(Reader(broker, dict(broker.waiting), Fuse()))
        commit = run.commit({"messages_read": 2})
    assert commit.acknowledged
    assert commit.sources == {SUBSCRIPTION: 2}
    assert not broker.waiting
    assert run.committed_messages(SUBSCRIPTION) == IDENTITY_SCHEMA.empty_table()


def test_nothing_read_and_nothing_written_leaves_no_record(tmp_path: Path) -> None:
    """Idle runs don't fill the ledger."""
    run_once(tmp_path, Broker(0))
    assert Ledger(str(tmp_path / "even")).commits() == []


def test_the_ledger_tells_what_was_committed(tmp_path: Path) -> None:
    """A commit keeps its counts, files and sources, and whether it was acknowledged."""
    run = run_once(tmp_path, Broker(3))
    (commit,) = Ledger(str(tmp_path / "even")).commits()
    assert commit.id == run.id
    assert commit.counts == {"messages_read": 3}
    assert commit.sources == {SUBSCRIPTION: 3}
    assert sum(file.rows for file in commit.files) == 3
    assert all(Path(file.path).exists() for file in commit.files)
    assert commit.acknowledged


def test_a_refused_acknowledgement_does_not_undo_the_commit(tmp_path: Path) -> None:
    """The rows stay, and the next run leaves the messages out when they come again."""
    broker = Broker(2)

    class Refused(Reader):
        def acknowledge(self) -> None:
            raise TransientError("the service is away")

    with Run() as run:
        stage = run.add_lake(str(tmp_path / "even"))
        (tmp_path / "odd").mkdir()
        run.add_source(Refused(broker, dict(broker.waiting), Fuse()))
        stage_numbers(LocalStore(), stage, tmp_path / "even", run.id, [0, 1])
        assert not run.commit({}).acknowledged
    assert not Ledger(str(tmp_path / "even")).commits()[0].acknowledged
    run_once(tmp_path, broker)
    assert numbers_in(tmp_path) == [0, 1]
    assert not broker.waiting


class NoNote(LocalStore):
    """A disk that is full when the acknowledgement is to be noted."""

    def output(self, path: str) -> Any:
        if path.endswith(".acknowledged"):
            raise OSError(errno.ENOSPC, "No space left on device", path)
        return super().output(path)


def test_an_acknowledgement_that_cannot_be_noted_is_no_failure(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """All is done by then: the commit is returned, and the log tells what is not noted."""
    broker = Broker(2)
    with Run(stores=lambda _: NoNote()) as run:
        stage = run.add_lake(str(tmp_path / "even"))
        run.add_source(Reader(broker, dict(broker.waiting), Fuse()))
        stage_numbers(LocalStore(), stage, tmp_path / "even", run.id, [0, 1])
        assert run.commit({}).acknowledged
    assert f"run {run.id}: committed and acknowledged, but" in caplog.text
    assert numbers_in(tmp_path) == [0, 1]
    assert not broker.waiting
    assert not Ledger(str(tmp_path / "even")).commits()[0].acknowledged


def test_the_run_is_found_by_the_pipeline_and_by_its_id() -> None:
    """Transforms find the run by the options at construction, and by its id at execution."""
    with Run(Limits(max_messages=5)) as run:
        pipeline = beam.Pipeline(options=PipelineOptions(run.options()))
        assert Run.of(pipeline) is run
        assert Run.by_id(run.id) is run
        assert run.limits.max_messages == 5
    assert Run.of(beam.Pipeline()) is None
    with pytest.raises(PermanentError, match="is not open in this process"):
        Run.by_id(run.id)


def test_ids_sort_by_time() -> None:
    """Files of a later run sort behind those of an earlier one."""
    ids = [Run().id for _ in range(5)]
    assert len(set(ids)) == 5
    assert [run[:20] for run in ids] == sorted(run[:20] for run in ids)
