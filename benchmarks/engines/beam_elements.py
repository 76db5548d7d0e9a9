"""Apache Beam with one element per event, on the same runner as Headrace.

Three ways to keep the first of each id across windows: ``group`` (GroupByKey on the id) and
``state`` (Beam's own ``DeduplicatePerKey``) are the documented idioms; ``set`` is the fastest we
know, a set in the process, which is right only while one process does all the work.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.transforms.deduplicate import DeduplicatePerKey
from apache_beam.transforms.window import FixedWindows, TimestampedValue

from benchmarks.child import Task

__all__ = ["run"]

Event = dict[str, Any]

SCHEMA = pa.schema(
    [
        ("event_id", pa.string()),
        ("event_time", pa.timestamp("ms", "UTC")),
        ("user_id", pa.int64()),
        ("event_type", pa.string()),
        ("amount", pa.float64()),
        ("page", pa.string()),
    ]
)
WINDOW_S = 60
HORIZON_S = 7_200


def run(task: Task) -> None:
    """Parse, drop what is malformed, keep one row of each id, write one file a window."""
    keep_first = DEDUPLICATIONS[task.options["dedup"]]
    loads = orjson.loads if task.options["dedup"] == "set" else json.loads
    with beam.Pipeline(FnApiRunner(), options=PipelineOptions([])) as pipeline:
        events = (
            pipeline
            | beam.Create([str(task.lines)])
            | "Lines" >> beam.FlatMap(read_lines)
            | "Parse" >> beam.FlatMap(parse, loads)
        )
        _ = (
            keep_first(events)
            | "Windows" >> beam.WindowInto(FixedWindows(WINDOW_S))
            | "Key" >> beam.Map(with_window_start)
            | "Gather" >> beam.GroupByKey()
            | "Write" >> beam.Map(write_window, str(task.output))
        )


def read_lines(path: str) -> Iterator[bytes]:
    with Path(path).open("rb") as lines:
        yield from lines


def parse(line: bytes, loads: Callable[[bytes], Any]) -> Iterator[Event]:
    try:
        event = loads(line)
        if type(event["user_id"]) is not int:
            return
        time_s = dt.datetime.fromisoformat(event["event_time"]).timestamp()
    except (ValueError, KeyError, TypeError):
        return
    # A number is cheaper to shuffle than a datetime, which Beam would pickle.
    event["event_time"] = round(time_s * 1_000)
    yield TimestampedValue(event, time_s)


def by_group(events: beam.PCollection) -> beam.PCollection:
    return (
        events
        | "Id" >> beam.Map(with_id)
        | "Same id" >> beam.GroupByKey()
        | "First" >> beam.Map(first_of_group)
    )


def by_state(events: beam.PCollection) -> beam.PCollection:
    return (
        events
        | "Id" >> beam.Map(with_id).with_output_types(tuple[str, Event])
        | DeduplicatePerKey(event_time_duration=HORIZON_S)
        | beam.Values()
    )


def by_set(events: beam.PCollection) -> beam.PCollection:
    return events | "First" >> beam.ParDo(FirstInProcess())


DEDUPLICATIONS = {"group": by_group, "state": by_state, "set": by_set}


def with_id(event: Event) -> tuple[str, Event]:
    return event["event_id"], event


def first_of_group(group: tuple[str, Iterable[Event]]) -> TimestampedValue:
    # Grouping moved the timestamp to the end of the window: here, of time itself.
    event = next(iter(group[1]))
    return TimestampedValue(event, event["event_time"] / 1_000)


class FirstInProcess(beam.DoFn):
    """Lets an event pass when its id was not seen in this process."""

    def setup(self) -> None:
        self._seen: set[str] = set()

    def process(self, event: Event) -> Iterator[Event]:
        if event["event_id"] not in self._seen:
            self._seen.add(event["event_id"])
            yield event


def with_window_start(event: Event, window: Any = beam.DoFn.WindowParam) -> tuple[int, Event]:
    return int(window.start), event


def write_window(group: tuple[int, Iterable[Event]], folder: str) -> str:
    start = dt.datetime.fromtimestamp(group[0], dt.timezone.utc)
    path = Path(folder, f"minute={start:%Y-%m-%dT%H%M}", "events.parquet")
    path.parent.mkdir()
    table = pa.Table.from_pylist(list(group[1]), SCHEMA)
    pq.write_table(table, path, compression="zstd", compression_level=1)
    return str(path)
