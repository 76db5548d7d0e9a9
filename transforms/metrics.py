"""Every metric of Headrace: one table of names, kinds, units and meanings.

A metric counts for Beam (``PipelineResult.metrics``, Dataflow's monitoring) and tells whoever
watches in this process, such as the progress line of the launcher.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from apache_beam.metrics.metric import Metrics

__all__ = ["NAMESPACE", "TABLE", "Counter", "Gauge", "Metric", "unwatch", "watch"]

NAMESPACE = "headrace"


@dataclass(frozen=True)
class Metric:
    """A named number: what it counts or measures, and in which unit."""

    name: str
    unit: str
    meaning: str


Watcher = Callable[[Metric, int], None]

_watchers: list[Watcher] = []


def watch(watcher: Watcher) -> None:
    """Call ``watcher(metric, number)`` in this process whenever a metric changes.

    The number is the increase of a counter or the new value of a gauge. It is called from worker
    threads, once per batch; it must be quick and thread-safe.
    """
    _watchers.append(watcher)


def unwatch(watcher: Watcher) -> None:
    """Stop calling ``watcher``."""
    _watchers.remove(watcher)


class Counter(Metric):
    """A number that only grows."""

    def inc(self, amount: int) -> None:
        """Count ``amount`` more. Call it once per batch, not per row."""
        if amount == 0:
            return
        Metrics.counter(NAMESPACE, self.name).inc(amount)
        for watcher in _watchers:
            watcher(self, amount)


class Gauge(Metric):
    """A number that goes up and down; its latest value counts."""

    def set(self, value: int) -> None:
        """Report the value. Call it once per batch, not per row."""
        Metrics.gauge(NAMESPACE, self.name).set(value)
        for watcher in _watchers:
            watcher(self, value)


MESSAGES_READ = Counter("messages_read", "messages", "taken from a subscription, each message once")
MESSAGES_REDELIVERED = Counter(
    "messages_redelivered", "messages", "delivered again although committed or in work; dropped"
)
MESSAGES_PUBLISHED = Counter("messages_published", "messages", "accepted by a topic")
ROWS_PARSED = Counter("rows_parsed", "rows", "payloads that became typed rows")
DUPLICATES = Counter("duplicates", "rows", "dropped because their key was seen within the horizon")
ROWS_WITHOUT_KEY = Counter("rows_without_key", "rows", "kept although their key is null")
DEAD_LETTERS = Counter("dead_letters", "rows", "rejected, kept as a failure with the reason")
ROWS_FILTERED = Counter("rows_filtered", "rows", "left out because a filter does not mean them")
ROWS_MADE = Counter(
    "rows_made", "rows", "that a user's function made of a row beyond the one that it was given"
)
ROWS_ROUTED = Counter("rows_routed", "rows", "taken by the named outputs of a user's function")
LATE_ROWS = Counter("late_rows", "rows", "dropped by the runner: too late for their windows")
ROWS_READ = Counter("rows_read", "rows", "read from a table")
ROWS_WRITTEN = Counter("rows_written", "rows", "written to files of the lake, or to a table")
APPEND_REQUESTS = Counter("append_requests", "requests", "of rows, answered by BigQuery")
FAILURES_WRITTEN = Counter("failures_written", "rows", "dead letters written by a sink")
FILES_WRITTEN = Counter("files_written", "files", "written to the lake")
BYTES_WRITTEN = Counter("bytes_written", "bytes", "size of the files written to the lake")
FILES_MERGED = Counter("files_merged", "files", "of the lake that became part of a larger one")
ROWS_MERGED = Counter("rows_merged", "rows", "in files that were merged")
BACKLOG = Gauge("backlog", "messages", "waiting in the subscription, as it last told")

TABLE: tuple[Metric, ...] = tuple(
    value for value in globals().values() if isinstance(value, Metric)
)
"""All metrics, in the order of the definition above."""
