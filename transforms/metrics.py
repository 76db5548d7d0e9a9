"""Every metric of Headrace: one table of names, kinds, units and meanings.

A metric counts for Beam (``PipelineResult.metrics``, Dataflow's monitoring) and tells whoever
watches in this process, such as the progress line of the launcher.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from apache_beam.metrics.metric import Metrics

__all__ = ["NAMESPACE", "TABLE", "Counter", "unwatch", "watch"]

NAMESPACE = "headrace"

_watchers: list[Callable[[str, int], None]] = []


def watch(watcher: Callable[[str, int], None]) -> None:
    """Call ``watcher(name, amount)`` in this process whenever a counter is increased.

    It is called from worker threads, once per batch; it must be quick and thread-safe.
    """
    _watchers.append(watcher)


def unwatch(watcher: Callable[[str, int], None]) -> None:
    """Stop calling ``watcher``."""
    _watchers.remove(watcher)


@dataclass(frozen=True)
class Counter:
    """A number that only grows."""

    name: str
    unit: str
    meaning: str
    _beam: Any = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_beam", Metrics.counter(NAMESPACE, self.name))

    def inc(self, amount: int) -> None:
        """Count ``amount`` more. Call it once per batch, not per row."""
        if amount == 0:
            return
        self._beam.inc(amount)
        for watcher in _watchers:
            watcher(self.name, amount)


MESSAGES_READ = Counter("messages_read", "messages", "taken from a subscription, each message once")
MESSAGES_REDELIVERED = Counter(
    "messages_redelivered", "messages", "delivered again although committed or in work; dropped"
)
MESSAGES_PUBLISHED = Counter("messages_published", "messages", "accepted by a topic")
ROWS_PARSED = Counter("rows_parsed", "rows", "payloads that became typed rows")
DUPLICATES = Counter("duplicates", "rows", "dropped because their key was seen within the horizon")
ROWS_WITHOUT_KEY = Counter("rows_without_key", "rows", "kept although their key is null")
DEAD_LETTERS = Counter("dead_letters", "rows", "rejected, kept as a failure with the reason")
ROWS_WRITTEN = Counter("rows_written", "rows", "written to files of the lake")
FILES_WRITTEN = Counter("files_written", "files", "written to the lake")
BYTES_WRITTEN = Counter("bytes_written", "bytes", "size of the files written to the lake")

TABLE: tuple[Counter, ...] = tuple(
    value for value in globals().values() if isinstance(value, Counter)
)
"""All metrics, in the order of the definition above."""
