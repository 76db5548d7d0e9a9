"""A job on the local runner whose code, disk, state or graph is faulty, and what comes after."""

import os
import random
import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from runners.local.store import Store
from tests.lives import Life, Lives
from tests.numbers_job import BATCH, Job, acknowledged, assert_right

pytestmark = [pytest.mark.chaos, pytest.mark.integration, pytest.mark.timeout(600)]

SEED = int(os.environ.get("HEADRACE_CHAOS_SEED", "1"))
COUNT = 60_000
BATCHES = COUNT // BATCH
LIVES_MAX = 100


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lives") / "log"


@pytest.fixture(scope="module")
def lives(log: Path) -> Iterator[Lives]:
    with Lives(log) as started:
        yield started


@pytest.fixture(scope="module")
def undisturbed(lives: Lives, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[object]]:
    folder = tmp_path_factory.mktemp("undisturbed")
    assert lives.live(Life(str(folder), COUNT)) == "DONE"
    results = Job(str(folder), COUNT).results()
    assert_right(results, BATCHES)
    return results


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(str(tmp_path / "job"), COUNT)


@pytest.fixture
def rng(request: pytest.FixtureRequest) -> random.Random:
    print(f"seed {SEED}")
    return random.Random(f"{SEED} {request.node.name}")


def assert_complete(lives: Lives, job: Job, undisturbed: dict[str, list[object]]) -> None:
    """Let a job come to its end, and check all that it wrote."""
    assert lives.live(Life(job.folder, COUNT)) == "DONE"
    assert job.results() == undisturbed
    assert acknowledged(job.ledger) == BATCHES


def begun(lives: Lives, job: Job, epochs: int = 6) -> None:
    """Let a job live for some epochs, so that windows are open and elements wait."""
    life = Life(job.folder, COUNT, epochs=epochs)
    assert lives.live(life) == "killed before the state is stored"


# --- code -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hook", "rate"),
    [("read", 0.15), ("by key", 0.15), ("total", 0.005), ("timer", 0.15), ("write", 0.1)],
)
def test_exceptions_change_nothing(
    hook: str,
    rate: float,
    *,
    lives: Lives,
    log: Path,
    job: Job,
    undisturbed: dict[str, list[object]],
) -> None:
    """Code that fails now and then is tried again until it does not, with the same results."""
    before = log.read_text().count("epoch taken back")
    argv = ("--max_attempts=50",)
    life = Life(job.folder, COUNT, fail_at=hook, fail_rate=rate, seed=SEED, argv=argv)
    assert lives.live(life) == "DONE"
    assert log.read_text().count("epoch taken back") > before
    assert job.results() == undisturbed
    assert acknowledged(job.ledger) == BATCHES


@pytest.mark.parametrize(
    ("hook", "step", "element"),
    [
        ("by key", "ByKey", "Batch"),
        ("total", "Total", "('k0', ("),
        ("timer", "Total", "shard|key='k|'k"),
        ("write", "Write(Totals|Groups)", "('k"),
    ],
)
def test_failure_for_good_stops_the_job(
    hook: str,
    step: str,
    element: str,
    *,
    lives: Lives,
    job: Job,
    undisturbed: dict[str, list[object]],
) -> None:
    """The error names step and element, nothing more is acknowledged; mended code goes on."""
    argv = ("--max_attempts=3",)
    acknowledgements = []
    for _ in range(2):
        end = lives.live(Life(job.folder, COUNT, fail_at=hook, argv=argv))
        assert re.match(f"FAILED: step {step} failed", end), end
        assert any(part in end for part in element.split("|")), end
        assert end.endswith("ValueError: a fault of the test")
        acknowledgements.append(acknowledged(job.ledger))
    assert acknowledgements[0] == acknowledgements[1] < BATCHES
    assert_complete(lives, job, undisturbed)


def test_failed_acknowledgement_does_no_harm(
    lives: Lives, job: Job, undisturbed: dict[str, list[object]]
) -> None:
    """A finalizer that raises is too late to take anything back: the epoch is committed."""
    life = Life(job.folder, COUNT, fail_at="acknowledge", fail_rate=0.5, seed=SEED)
    assert lives.live(life) == "DONE"
    assert job.results() == undisturbed


# --- stops ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_suspend(
    number: signal.Signals,
    rng: random.Random,
    lives: Lives,
    job: Job,
    undisturbed: dict[str, list[object]],
) -> None:
    """Stopped by a signal at any moment, again and again, the job comes to the same results."""
    ends = set()
    for number_of_lives in range(LIVES_MAX):
        kill_s = rng.uniform(0.05, 0.3 + 0.02 * number_of_lives)  # a busy machine gets on as well
        end = lives.live(Life(job.folder, COUNT, kill_s=kill_s, signal=number))
        ends.add(end)
        if end == "DONE":
            break
    # Before the job runs, a signal ends the process as it ends any other.
    assert ends <= {"DONE", "_Terminated: 143", "KeyboardInterrupt: ", "killed from outside"}
    assert ends & {"_Terminated: 143", "KeyboardInterrupt: "}
    assert job.results() == undisturbed
    assert acknowledged(job.ledger) == BATCHES


def test_suspensions_change_nothing(
    rng: random.Random, lives: Lives, job: Job, undisturbed: dict[str, list[object]]
) -> None:
    """Suspended and resumed at any moment, the job comes to the same results."""
    stopped = 0
    for _ in range(LIVES_MAX):
        end = lives.live(Life(job.folder, COUNT, stop_s=rng.uniform(0, 0.4)))
        if end == "DONE":
            break
        assert end == "STOPPED"
        stopped += 1
    assert stopped
    assert job.results() == undisturbed
    assert acknowledged(job.ledger) == BATCHES


@pytest.mark.parametrize("number", range(4))
def test_drain_completes_what_was_read(
    number: int, rng: random.Random, lives: Lives, job: Job
) -> None:
    """At any moment: what was read is in the results, all of it once, and no state is left."""
    if number % 2:
        begun(lives, job, epochs=rng.randrange(1, 8))
    life = Life(job.folder, COUNT, stop_s=rng.uniform(0, 1.0), stop_mode="drain")
    assert lives.live(life) in ("DRAINED", "DONE")
    batches = acknowledged(job.ledger)
    assert (len(job.ledger.read_text().split()) if batches else 0) == batches
    assert_right(job.results(), batches)
    assert_no_state(job)


def assert_no_state(job: Job) -> None:
    """Check that the state is that of a job that has never run."""
    store = Store.open(str(job.state / "job"))
    try:
        assert store.items("") == []
        assert store.cells(b"") == []
        assert store.chunks() == []
        assert store._database.read("SELECT count(*) FROM timers") == [(0,)]
    finally:
        store.close()


def test_killed_drain_can_be_repeated(rng: random.Random, lives: Lives, job: Job) -> None:
    """A drain that was killed has drained nothing or something, and the next one completes it."""
    begun(lives, job)
    life = Life(job.folder, COUNT, stop_s=0, stop_mode="drain", moment="timer")
    assert lives.live(life) == "killed timer"
    life = Life(job.folder, COUNT, stop_s=0, stop_mode="drain")
    assert lives.live(life) == "DRAINED"
    batches = acknowledged(job.ledger)
    assert 0 < batches <= BATCHES
    assert_right(job.results(), batches)
    assert_no_state(job)


# --- state ----------------------------------------------------------------------------------------


def test_second_process_is_refused(
    lives: Lives, job: Job, undisturbed: dict[str, list[object]]
) -> None:
    """While one process works in the folder another is told so; it does no harm to try."""
    begun(lives, job)
    store = Store.open(str(job.state / "job"))
    try:
        end = lives.live(Life(job.folder, COUNT))
    finally:
        store.close()
    assert re.match(rf"StateFolderInUse: .*/state/job: process {os.getpid()} works in", end)
    assert_complete(lives, job, undisturbed)


def test_step_with_state_must_stay(
    lives: Lives, job: Job, undisturbed: dict[str, list[object]]
) -> None:
    """Without it the start is refused, and told why; the old code goes on."""
    begun(lives, job)
    end = lives.live(Life(job.folder, COUNT, variant="without totals"))
    assert re.match(r"StateMismatch: .*: state Total was .*, and is gone", end), end
    assert_complete(lives, job, undisturbed)


def test_step_may_be_added(lives: Lives, job: Job, undisturbed: dict[str, list[object]]) -> None:
    """The steps that were there go on with what they have."""
    begun(lives, job)
    assert lives.live(Life(job.folder, COUNT, variant="with more")) == "DONE"
    assert job.results() == undisturbed


@pytest.mark.parametrize("volume", ["16m"], indirect=True)
def test_full_disk_stops_the_job_until_there_is_room(
    volume: Path,
    rng: random.Random,
    lives: Lives,
    job: Job,
    undisturbed: dict[str, list[object]],
) -> None:
    """However little room there is, the error says it; with room the job goes on."""
    ballast = volume / "ballast"
    refused = 0
    for _ in range(LIVES_MAX):
        free = shutil.disk_usage(volume).free
        ballast.write_bytes(bytes(max(0, free - rng.randrange(1 << 20))))
        end = lives.live(Life(job.folder, COUNT, state=str(volume), epochs=rng.randrange(6)))
        ballast.unlink()
        if end.startswith("StoreFull"):
            refused += 1
            assert "the disk is full or fails" in end
            assert "Free space" in end
        else:
            assert end in ("DONE", "killed before the state is stored"), end
        if end == "DONE":
            break
        # With room it goes on, for an epoch.
        end = lives.live(Life(job.folder, COUNT, state=str(volume), epochs=1))
        assert end in ("DONE", "killed before the state is stored"), end
        if end == "DONE":
            break
    assert refused
    assert job.results() == undisturbed
    assert acknowledged(job.ledger) == BATCHES


def test_damage_is_found_or_harmless(
    rng: random.Random,
    lives: Lives,
    job: Job,
    undisturbed: dict[str, list[object]],
    tmp_path: Path,
) -> None:
    """Garbage in the state never becomes a wrong result: it is refused, or lay where nothing is."""
    begun(lives, job, epochs=8)
    Store.open(str(job.state / "job")).close()  # all that is in the log goes to the file
    whole = tmp_path / "whole"
    os.rename(job.folder, whole)
    found = 0
    for number in range(12):
        shutil.copytree(whole, job.folder)
        file = job.state / "job" / "state.sqlite3"
        size = 64 if number else 4_096
        at = rng.randrange(file.stat().st_size - size) if number else 0
        with file.open("r+b") as damaged:
            damaged.seek(at)
            damaged.write(rng.randbytes(size))
        end = lives.live(Life(job.folder, COUNT))
        if end == "DONE":
            assert job.results() == undisturbed, f"{size} bytes at {at}"
        else:
            assert end.startswith("StoreCorrupt: "), f"{size} bytes at {at}: {end}"
            found += 1
        shutil.rmtree(job.folder)
    assert found


# --- workers --------------------------------------------------------------------------------------


def test_workers_are_killed_with_their_job(
    rng: random.Random, lives: Lives, job: Job, undisturbed: dict[str, list[object]]
) -> None:
    """Work in processes of its own is taken back and done again like any other."""
    argv = ("--workers=2",)
    for epochs in (1, 5, 3):
        life = Life(job.folder, COUNT, epochs=epochs, argv=argv)
        assert lives.live(life) == "killed before the state is stored"
    assert lives.live(Life(job.folder, COUNT, argv=argv)) == "DONE"
    assert job.results() == undisturbed
    assert acknowledged(job.ledger) == BATCHES
