"""Kill a job on the local runner at any moment: it writes what an undisturbed one writes."""

import os
import random
import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lives import AT_THE_END, AT_WINDOWS, OFTEN, Life, Lives
from tests.numbers_job import BATCH, Job, acknowledged, assert_right

pytestmark = [pytest.mark.chaos, pytest.mark.integration, pytest.mark.timeout(900)]

SEED = int(os.environ.get("HEADRACE_CHAOS_SEED", "1"))
KILLS = int(os.environ.get("HEADRACE_CHAOS_KILLS", "200"))
COUNT = int(os.environ.get("HEADRACE_CHAOS_MESSAGES", "1000000"))


@pytest.fixture(scope="module")
def lives(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lives]:
    with Lives(tmp_path_factory.mktemp("lives") / "log") as started:
        yield started


def run_undisturbed(lives: Lives, folder: Path, count: int) -> dict[str, list[object]]:
    assert lives.live(Life(str(folder), count)) == "DONE"
    job = Job(str(folder), count)
    results = job.results()
    assert_right(results, count // BATCH)
    assert acknowledged(job.ledger) == count // BATCH
    return results


def assert_sound(job: Job) -> None:
    """Check the whole file of the state."""
    connection = sqlite3.connect(job.state / "job" / "state.sqlite3")
    try:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    finally:
        connection.close()


def a_death(rng: random.Random, folder: Path, count: int) -> Life:
    """Draw how the next life ends: few lives get far, so that there are many in a job."""
    epochs = rng.choice([0, 0, 1, 2])
    if rng.random() < 0.2:
        return Life(str(folder), count, epochs=epochs, kill_s=rng.uniform(0.05, 1.0))
    moments = rng.choice([OFTEN, AT_WINDOWS])
    after = rng.choice([0, 0, 0, 1, 2, 3, 5, 8])
    return Life(str(folder), count, epochs=epochs, moment=rng.choice(moments), after=after)


class Ordeal:
    """One job through many deaths.

    Attributes:
        deaths: how often it died where.
        over: it has come to its end.
    """

    def __init__(self, lives: Lives, folder: Path, count: int, rng: random.Random) -> None:
        self.job = Job(str(folder), count)
        self.deaths: Counter[str] = Counter()
        self.over = False
        self._lives, self._rng = lives, rng

    def die(self) -> None:
        """Go on until it is killed, or over."""
        self._live(a_death(self._rng, Path(self.job.folder), self.job.count))
        if self._rng.random() < 0.1 and (self.job.state / "job" / "state.sqlite3").exists():
            assert_sound(self.job)

    def end(self) -> None:
        """Go on to the end, and die there as well."""
        for moment in AT_THE_END:
            if not self.over:
                self._live(Life(self.job.folder, self.job.count, moment=moment))

    def _live(self, life: Life) -> None:
        end = self._lives.live(life)
        self.over = end == "DONE" or life.moment == AT_THE_END[-1]
        if end != "DONE":
            assert end.startswith("killed "), f"{life}: {end}"
            self.deaths[end.removeprefix("killed ")] += 1


def test_kills_change_nothing(lives: Lives, tmp_path: Path) -> None:
    """Killed 200 times at any moment, the job writes the same files with the same content."""
    rng = random.Random(SEED)
    undisturbed = run_undisturbed(lives, tmp_path / "undisturbed", COUNT)
    deaths: Counter[str] = Counter()
    while deaths.total() < KILLS:
        ordeal = Ordeal(lives, tmp_path / str(deaths.total()), COUNT, rng)
        while not ordeal.over and deaths.total() + ordeal.deaths.total() < KILLS:
            ordeal.die()
        ordeal.end()
        print(f"seed {SEED}, {ordeal.deaths.total()} kills: {dict(ordeal.deaths)}")
        results = ordeal.job.results()
        assert results.keys() == undisturbed.keys(), f"seed {SEED}"
        assert results == undisturbed, f"seed {SEED}"
        assert_sound(ordeal.job)
        deaths += ordeal.deaths
