"""What the broker asks of its log, wherever that keeps things, and how durable that is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import Enum
from typing import NamedTuple, Protocol

import pyarrow as pa

from connectors.broker.counters import LogCounts
from connectors.broker.events import Checkpoint, Event, Place
from connectors.broker.frame import Entry

__all__ = ["Disk", "Durability", "Store"]


class Durability(Enum):
    """What survives of a log on disk.

    ALWAYS    all that was answered, a power failure included: it is synced before the answer
    INTERVAL  all that was answered, if the broker is killed; if the machine loses power, what was
              answered in the last ``limits.SYNC_INTERVAL_S`` or somewhat more may be lost
    """

    ALWAYS = "always"
    INTERVAL = "interval"


class Disk(NamedTuple):
    """What a log takes and leaves of its disk."""

    segments: int
    log_bytes: int
    free_bytes: int
    counts: LogCounts


class Store(Protocol):
    """A log; ``write``, ``rotate`` and ``sync`` may run in one other thread."""

    size_bytes: int
    """Of the segment in use."""
    counts: LogCounts

    def recover(self) -> Iterator[Event]:
        """Yield all events since the oldest checkpoint, and open the log for writing."""

    def write(self, bundles: list[list[Entry]]) -> list[list[Place]]:
        """Append bundles of events, each whole or not at all; return where their payloads are."""

    def rotate(self, checkpoint: Checkpoint) -> None:
        """Begin a new segment with a checkpoint of everything written so far."""

    def sync(self) -> None:
        """Make durable what was written."""

    def payload(self, place: Place) -> pa.Buffer:
        """Return a payload, in place."""

    def keep(self, place: Place) -> None:
        """Count rows that are needed."""

    def release(self, places: Iterable[Place]) -> None:
        """Count rows that are not needed any more, and let go of what nobody needs."""

    def closed_bytes(self) -> dict[int, int]:
        """Return the size of each segment but the one in use."""

    def check_room(self, size_bytes: int) -> None:
        """Refuse what there is no room for."""

    def has_room(self, size_bytes: int) -> bool:
        """Tell whether ``check_room`` would pass."""

    def close(self) -> None:
        """Let go of everything."""

    @property
    def synced(self) -> bool:
        """Whether all that was written is as durable as it will be."""

    @property
    def failure(self) -> str | None:
        """Why nothing more can be written until a restart; None while all is well."""

    def disk(self) -> Disk:
        """Return what the log takes and leaves of its disk."""
