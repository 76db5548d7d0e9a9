"""Whoever waits for rows: notes when each of them can be seen."""

from __future__ import annotations

import abc
import contextlib
import time
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.looking import Looking
from connectors.pubsub.session import connect
from transforms.message import DATA

__all__ = ["LakeWatch", "Seen", "TopicWatch", "Watch"]

LOOK_S = 0.005
"""Pause between two looks at a folder: by so much at most a file is seen too late."""
MESSAGES_MAX = 65_536
WAIT_S = 0.1

Seen = npt.NDArray[np.int64]
"""A line for each row that came: its number, when it was sent, and when it was seen, in
microseconds since 1970."""


class Watch(Looking):
    """Looks for rows until the block ends."""

    def __init__(self, pause_s: float) -> None:
        super().__init__("watch", pause_s)
        self.rows = 0
        """How many were seen so far."""

    @abc.abstractmethod
    def seen(self) -> Seen:
        """Return what was seen, once the block has ended."""


class LakeWatch(Watch):
    """Looks into a folder for new Parquet files."""

    def __init__(self, folder: Path) -> None:
        super().__init__(LOOK_S)
        self._folder = folder
        self._files: dict[Path, int] = {}

    def look(self) -> None:
        """Look at the folder."""
        found = set(self._folder.rglob("*.parquet")) - self._files.keys()
        now_us = _now_us()
        self._files |= dict.fromkeys(found, now_us)
        self.rows += sum(pq.read_metadata(path).num_rows for path in found)

    def seen(self) -> Seen:
        """Return what was seen."""
        return _joined(
            [
                _seen(pq.read_table(path, columns=["number", "sent_us"]), seen_us)
                for path, seen_us in self._files.items()
            ]
        )


class TopicWatch(Watch):
    """Takes messages from a subscription."""

    def __init__(self, subscription: str) -> None:
        super().__init__(0)  # a pull waits by itself
        self._subscription = subscription
        self._batches: list[tuple[pa.Array, int]] = []

    def run(self) -> None:
        """Pull again and again."""
        with contextlib.ExitStack() as closing:
            self._wire = connect(self._subscription, closing).subscription
            super().run()
            self._wire.close()

    def look(self) -> None:
        """Pull and acknowledge."""
        delivery = self._wire.pull(MESSAGES_MAX, WAIT_S)
        if delivery.lease is not None:
            self._batches.append((delivery.messages.column(DATA), _now_us()))
            self.rows += len(delivery.messages)
            self._wire.acknowledge([delivery.lease])

    def seen(self) -> Seen:
        """Return what was seen."""
        return _joined([_seen(_decoded(data), seen_us) for data, seen_us in self._batches])


def _decoded(payloads: pa.Array) -> pa.Table:
    return pa.Table.from_pylist([msgspec.json.decode(text) for text in payloads.to_pylist()])


def _seen(rows: pa.Table, seen_us: int) -> Seen:
    columns = [rows["number"].to_numpy(), rows["sent_us"].to_numpy(), np.full(len(rows), seen_us)]
    return np.stack(columns, axis=1)


def _joined(parts: list[Seen]) -> Seen:
    return np.concatenate(parts) if parts else np.empty((0, 3), np.int64)


def _now_us() -> int:
    return time.time_ns() // 1_000
