"""The figures as a table, as JSON lines and as words about the machine."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from benchmarks.machine import machine
from benchmarks.rounds import Result

__all__ = ["json_lines", "table"]

HEAD = (
    "engine", "events", "events per core-second, best", "median", "wall s", "peak MB",
    "start-up CPU s", "preparation CPU s", "Headrace from memory / this",
)  # fmt: skip
OURS = "headrace_memory"


def table(results: Sequence[Result]) -> str:
    """Return a Markdown table, fastest first, with the machine below it."""
    ours = next((r for r in results if r.engine.name == OURS and r.counts), None)
    rows = [_cells(result, ours) for result in _fastest_first(results)]
    lines = [HEAD, ("---", *["---:"] * (len(HEAD) - 1)), *rows]
    about = [f"{name}: {text}  " for name, text in machine().items()]
    return "\n".join([*(f"| {' | '.join(cells)} |" for cells in lines), "", *about]).rstrip()


def json_lines(results: Sequence[Result]) -> Iterator[str]:
    """Yield one JSON object for each figure of each engine, and one for a failure."""
    for result in results:
        row = {"engine": result.engine.name, "events": result.events}
        if not result.counts:
            yield json.dumps({**row, "failed": result.failure})
            continue
        for name, unit, values in _figures(result):
            figure = {"figure": name, "unit": unit, "rounds": [round(v, 4) for v in values]}
            yield json.dumps({**row, **figure})


def _figures(result: Result) -> Iterator[tuple[str, str, list[float]]]:
    usages = result.usages
    yield "rate", "events/core-second", result.rates
    yield "cpu", "s", [usage.work.cpu_s for usage in usages]
    yield "wall", "s", [usage.work.wall_s for usage in usages]
    yield "startup_cpu", "s", [usage.startup.cpu_s for usage in usages]
    yield "preparation_cpu", "s", [usage.preparation.cpu_s for usage in usages]
    yield "peak_memory", "bytes", [usage.rss_bytes_max for usage in usages]


def _fastest_first(results: Sequence[Result]) -> list[Result]:
    return sorted(results, key=lambda r: r.best if r.counts else 0, reverse=True)


def _cells(result: Result, ours: Result | None) -> tuple[str, ...]:
    name = f"**{result.engine.label}**" if result.engine.own else result.engine.label
    if not result.counts:
        return (name, f"{result.events:,}", f"FAILED: {result.failure}", *[""] * (len(HEAD) - 3))
    usages = result.usages
    return (
        name,
        f"{result.events:,}",
        f"{result.best:,.0f}",
        f"{result.median:,.0f}",
        f"{min(usage.work.wall_s for usage in usages):.2f}",
        f"{max(usage.rss_bytes_max for usage in usages) / 1e6:,.0f}",
        f"{min(usage.startup.cpu_s for usage in usages):.2f}",
        f"{min(usage.preparation.cpu_s for usage in usages):.2f}",
        f"{ours.best / result.best:.2f}" if ours else "",
    )
