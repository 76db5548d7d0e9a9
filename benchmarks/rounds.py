"""Runs of the engines: interleaved round by round, each one reconciled before it counts."""

from __future__ import annotations

import shutil
import statistics
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.engines import Engine
from benchmarks.environments import InstallError, python_of
from benchmarks.measure import EngineError, Usage, measure
from benchmarks.reconcile import differences
from benchmarks.workload import Workload

__all__ = ["Result", "run_rounds"]

PHASE_LIMIT_S = 900


@dataclass
class Result:
    """All runs of one engine; a failure in any round withdraws its figure."""

    engine: Engine
    events: int
    usages: list[Usage] = field(default_factory=list)
    failure: str = ""
    """Empty while every run gave the right lake."""

    @property
    def rates(self) -> list[float]:
        """Events per core-second of each round."""
        return [self.events / usage.work.cpu_s for usage in self.usages]

    @property
    def best(self) -> float:
        """Events per core-second of the round that was disturbed least."""
        return max(self.rates)

    @property
    def median(self) -> float:
        """Events per core-second of the middle round."""
        return statistics.median(self.rates)

    @property
    def counts(self) -> bool:
        """Whether there is a figure to compare."""
        return bool(self.usages) and not self.failure


def run_rounds(
    engines: Sequence[Engine],
    workload: Workload,
    rounds: int,
    logs: Path,
    report: Callable[[str], None],
) -> list[Result]:
    """Run every engine once a round, so that noise of the machine hits all alike."""
    results = [
        Result(engine, min(workload.events, engine.events_max or workload.events))
        for engine in engines
    ]
    for number in range(1, rounds + 1):
        for result in results:
            if not result.failure:
                _run_once(result, workload, logs / f"{result.engine.name}-{number}.log")
                report(f"round {number}/{rounds}  {_last(result)}")
    return results


def _run_once(result: Result, workload: Workload, log: Path) -> None:
    engine = result.engine
    scratch = Path(tempfile.mkdtemp(prefix=f"{engine.name}-", dir=log.parent))
    try:
        task = {
            "lines": workload.lines(result.events),
            "messages": workload.messages,
            "output": _made(scratch / "lake"),
            "scratch": _made(scratch / "scratch"),
            "options": engine.options,
        }
        command = [
            python_of(engine.environment), "-m", "benchmarks.child",
            f"benchmarks.engines.{engine.module}",
        ]  # fmt: skip
        result.usages.append(measure(command, task, log, PHASE_LIMIT_S))
        result.failure = "; ".join(differences(task["output"], workload.truth(result.events)))
    except (EngineError, InstallError) as error:
        result.failure = str(error)
    finally:
        shutil.rmtree(scratch)


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _last(result: Result) -> str:
    if result.failure:
        return f"{result.engine.label}: FAILED: {result.failure}"
    return f"{result.engine.label}: {result.rates[-1]:,.0f} events per core-second"
