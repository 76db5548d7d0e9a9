"""What a run tells of its metrics: the figures that account for every message."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from transforms import metrics

__all__ = ["MERGING", "PUBLISHING", "WRITING", "Figures", "counts"]

Figures: TypeAlias = Sequence[metrics.Metric]
"""Metrics that are always shown, in their order."""

WRITING: Figures = (
    metrics.MESSAGES_READ, metrics.ROWS_WRITTEN, metrics.DUPLICATES, metrics.DEAD_LETTERS,
)  # fmt: skip
"""Of pipelines that write rows."""
PUBLISHING: Figures = (
    metrics.MESSAGES_READ, metrics.MESSAGES_PUBLISHED, metrics.ROWS_FILTERED, metrics.DEAD_LETTERS,
)  # fmt: skip
"""Of pipelines that publish messages."""
MERGING: Figures = (metrics.FILES_MERGED, metrics.FILES_WRITTEN, metrics.ROWS_MERGED)
"""Of pipelines that make other files of files."""

_WORDS: dict[metrics.Metric, str] = {
    metrics.MESSAGES_READ: "read",
    metrics.ROWS_MADE: "made",
    metrics.ROWS_WRITTEN: "written",
    metrics.MESSAGES_PUBLISHED: "published",
    metrics.DUPLICATES: "dup",
    metrics.ROWS_FILTERED: "filtered",
    metrics.DEAD_LETTERS: "dead",
    metrics.ROWS_ROUTED: "routed",
    metrics.LATE_ROWS: "dropped as late",
    metrics.FILES_MERGED: "files merged",
    metrics.FILES_WRITTEN: "files made",
    metrics.ROWS_MERGED: "rows in them",
}
_IF_ANY = (
    metrics.ROWS_MADE, metrics.MESSAGES_PUBLISHED, metrics.ROWS_FILTERED, metrics.ROWS_ROUTED,
    metrics.LATE_ROWS,
)  # fmt: skip
"""Figures that are told too as soon as they are not zero: without them the sum would be wrong."""


def counts(totals: Mapping[str, int], rate: float, figures: Figures = WRITING) -> str:
    """Return the figures in words, and behind the messages that were read their rate.

    Args:
        totals: the latest number of each metric by name.
        rate: messages per second, lately.
        figures: which are always told.
    """
    more = [metric for metric in _IF_ANY if metric not in figures and totals.get(metric.name)]
    parts = []
    for metric in (*figures, *more):
        parts.append(f"{totals.get(metric.name, 0):,} {_WORDS[metric]}")
        if metric is metrics.MESSAGES_READ:
            parts.append(f"{rate:,.0f}/s")
    return "  ".join(parts)
