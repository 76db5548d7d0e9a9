"""The figures as a bar chart."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt

from benchmarks.machine import machine
from benchmarks.rounds import Result

__all__ = ["draw"]

OWN, PEER, INK = "#0b6e99", "#b8c4cc", "#30383d"


def draw(results: Sequence[Result], path: Path) -> None:
    """Save the best rate of each engine as a PNG, fastest at the top, on a logarithmic scale."""
    shown = sorted((r for r in results if r.counts), key=lambda result: result.best)
    figure, axes = plt.subplots(figsize=(9, 1.4 + 0.42 * len(shown)), layout="constrained")
    bars = axes.barh(
        [result.engine.label for result in shown],
        [result.best for result in shown],
        color=[OWN if result.engine.own else PEER for result in shown],
        height=0.7,
    )
    axes.bar_label(bars, [_short(result.best) for result in shown], padding=4, color=INK)
    axes.set_xscale("log")
    axes.set_xlim(left=100, right=4 * max(result.best for result in shown))
    axes.xaxis.set_major_formatter(lambda value, _: _short(value))
    axes.grid(axis="x", color="#e4e9ec", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(length=0, colors=INK)
    axes.set_title(
        "Events per core-second: JSON to a deduplicated, windowed Parquet lake", loc="left"
    )
    axes.set_xlabel(f"logarithmic scale, best of {len(shown[0].usages)}; {machine()['cpu']}")
    figure.savefig(path, dpi=150)
    plt.close(figure)


def _short(rate: float) -> str:
    if rate >= 1_000_000:
        return f"{rate / 1e6:.3g} M"
    return f"{rate / 1e3:.3g} k" if rate >= 1_000 else f"{rate:.0f}"
