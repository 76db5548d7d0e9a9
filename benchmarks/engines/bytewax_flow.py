"""Bytewax, three times: from how its documentation writes it to what can be done by hand.

``event_id`` keeps a state for each id, ``shard`` a set of ids for each of sixteen shards; both
let Bytewax's own windows collect. ``hand`` has windows of its own and hands on lists of events,
so that Bytewax's cost per item is paid once a list.
"""

from __future__ import annotations

import datetime as dt
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import bytewax.operators as op
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from bytewax.connectors.files import FileSource
from bytewax.dataflow import Dataflow
from bytewax.operators import StatefulBatchLogic, windowing
from bytewax.outputs import DynamicSink, StatelessSinkPartition
from bytewax.testing import run_main

from benchmarks.child import Task

__all__ = ["run"]

Event = dict[str, Any]
Window = tuple[str, list[Event]]

SCHEMA = pa.schema(
    [
        ("event_id", pa.string()),
        ("event_time", pa.timestamp("us", "UTC")),
        ("user_id", pa.int64()),
        ("event_type", pa.string()),
        ("amount", pa.float64()),
        ("page", pa.string()),
    ]
)
WINDOW = dt.timedelta(minutes=1)
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)
DISORDER_MAX = dt.timedelta(minutes=3)
LINES_PER_BATCH = 1_000


def run(task: Task) -> None:
    """Parse, drop what is malformed, keep one row of each id, write one file a window."""
    flow = Dataflow("benchmark")
    lines = op.input("lines", flow, FileSource(task.lines, batch_size=LINES_PER_BATCH))
    windows = VARIANTS[task.options["variant"]](lines)
    op.output("lake", windows, Lake(task.output))
    run_main(flow)


def keyed_by_id(lines: op.Stream[str]) -> op.Stream[Window]:
    events = op.filter_map("parse", lines, parse)
    same_id = op.key_on("id", events, event_id)
    return in_windows(op.stateful_flat_map("first", same_id, keep_first))


def keyed_by_shard(lines: op.Stream[str]) -> op.Stream[Window]:
    events = op.filter_map("parse", lines, parse)
    shards = op.key_on("shard", events, shard)
    return in_windows(op.stateful_batch("first", shards, lambda _: FirstInShard()))


def by_hand(lines: op.Stream[str]) -> op.Stream[Window]:
    shards = op.flat_map_batch("parse", lines, parse_to_shards)
    firsts = op.stateful_batch("first", shards, lambda _: FirstInShardByWindow())
    by_window = op.key_rm("forget shard", firsts)
    return op.stateful_batch("gather", by_window, lambda _: Gather())


VARIANTS = {"event_id": keyed_by_id, "shard": keyed_by_shard, "hand": by_hand}


def in_windows(firsts: op.KeyedStream[Event]) -> op.Stream[Window]:
    together = op.key_on("together", op.key_rm("forget key", firsts), lambda _: "all")
    clock = windowing.EventClock(event_time, wait_for_system_duration=DISORDER_MAX)
    minutes = windowing.TumblingWindower(length=WINDOW, align_to=EPOCH)
    collected = windowing.collect_window("minutes", together, clock, minutes)
    return op.map("name", collected.down, lambda keyed: (str(keyed[1][0]), keyed[1][1]))


def parse(line: str) -> Event | None:
    try:
        event = orjson.loads(line)
        if type(event["user_id"]) is not int:
            return None
        event["event_time"] = dt.datetime.fromisoformat(event["event_time"])
    except (ValueError, KeyError, TypeError):
        return None
    return event


def parse_to_shards(lines: list[str]) -> list[tuple[str, Event]]:
    events = (parse(line) for line in lines)
    return [(shard(event), event) for event in events if event]


def event_id(event: Event) -> str:
    return event["event_id"]


def shard(event: Event) -> str:
    return event["event_id"][0]


def event_time(event: Event) -> dt.datetime:
    return event["event_time"]


def keep_first(seen: bool | None, event: Event) -> tuple[bool, Iterable[Event]]:
    return True, () if seen else (event,)


class FirstInShard(StatefulBatchLogic):
    """Lets the events pass whose id is new in the shard."""

    def __init__(self) -> None:
        self._seen: set[str] = set()

    def on_batch(self, events: list[Event]) -> tuple[list[Any], bool]:
        return list(self.firsts(events)), StatefulBatchLogic.RETAIN

    def firsts(self, events: list[Event]) -> Iterator[Event]:
        for event in events:
            if event["event_id"] not in self._seen:
                self._seen.add(event["event_id"])
                yield event

    def snapshot(self) -> None:
        return None


class FirstInShardByWindow(FirstInShard):
    """Hands them on as one list for each window."""

    def on_batch(self, events: list[Event]) -> tuple[list[Any], bool]:
        windows = defaultdict(list)
        for event in self.firsts(events):
            windows[int(event["event_time"].timestamp()) // 60].append(event)
        named = [(str(minute), kept) for minute, kept in windows.items()]
        return named, StatefulBatchLogic.RETAIN


class Gather(StatefulBatchLogic):
    """Keeps the lists of one window until the input ends."""

    def __init__(self) -> None:
        self._events: list[Event] = []

    def on_batch(self, lists: list[list[Event]]) -> tuple[list[list[Event]], bool]:
        for events in lists:
            self._events.extend(events)
        return [], StatefulBatchLogic.RETAIN

    def on_eof(self) -> tuple[list[list[Event]], bool]:
        return [self._events], StatefulBatchLogic.DISCARD

    def snapshot(self) -> None:
        return None


class Lake(DynamicSink):
    """Writes each window to a file of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def build(self, *_: object) -> LakePartition:
        return LakePartition(self._folder)


class LakePartition(StatelessSinkPartition):
    """Writes the windows of one worker."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write_batch(self, windows: list[Window]) -> None:
        for name, events in windows:
            table = pa.Table.from_pylist(events, SCHEMA)
            path = self._folder / f"minute={name}.parquet"
            pq.write_table(table, path, compression="zstd", compression_level=1)
