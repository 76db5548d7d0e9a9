"""What Headrace sets out to reach, as ratios within one run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.rounds import Result

__all__ = ["TARGETS", "Target", "verdicts"]


@dataclass(frozen=True)
class Target:
    """``engine`` shall do at least ``times`` the events per core-second of ``other``."""

    engine: str
    times: float
    other: str


TARGETS = (
    Target("headrace_memory", 20, "beam_state"),
    Target("headrace_memory", 20, "beam_group"),
    Target("headrace_memory", 20, "beam_set"),
    Target("headrace_memory", 5, "bytewax"),
    Target("headrace_memory", 5, "bytewax_shard"),
    Target("headrace_memory", 0.7, "duckdb"),
    Target("headrace_broker", 0.5, "duckdb"),
    Target("local_memory", 0.8, "headrace_memory"),
    Target("local_memory", 0.9, "local_ephemeral"),
    Target("local_broker", 0.8, "headrace_broker"),
)


def verdicts(results: Sequence[Result]) -> list[str]:
    """Say of each target whether it was reached; one with a side that has no figure is left out."""
    by_name = {result.engine.name: result for result in results if result.counts}
    return [
        _verdict(target, by_name[target.engine], by_name[target.other])
        for target in TARGETS
        if target.engine in by_name and target.other in by_name
    ]


def _verdict(target: Target, result: Result, other: Result) -> str:
    ratio = result.best / other.best
    word = "reached" if ratio >= target.times else "missed"
    names = f"{result.engine.label} / {other.engine.label}"
    return f"{names}: {ratio:.2f}, target {target.times:g}: {word}"
