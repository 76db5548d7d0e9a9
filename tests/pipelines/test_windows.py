"""Windowing on runners: splits, dead letters, and lateness as Beam treats single rows."""

import datetime as dt
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import pyarrow as pa
import pytest
from apache_beam.runners.direct.direct_runner import BundleBasedDirectRunner
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that, equal_to

from transforms.batch import Batch
from transforms.field import column
from transforms.windows import Fixed, Session, Sliding, Windowing, Windows

SCHEMA = pa.schema([("user", pa.string()), ("at", pa.timestamp("us", tz="UTC"))])
EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)


def batch(*rows: tuple[str, float | None]) -> Batch:
    """Return rows of a user and an event time in seconds."""
    times = (None if at is None else EPOCH + dt.timedelta(seconds=at) for _, at in rows)
    return Batch.from_pylist(
        [{"user": user, "at": at} for (user, _), at in zip(rows, times, strict=True)], SCHEMA
    )


def seconds(moment: dt.datetime) -> float:
    """Return an event time as seconds since 1970."""
    return (moment - EPOCH).total_seconds()


class KeyByUser(beam.DoFn):
    """Key a batch by the user of its first row."""

    def process(self, element: Batch) -> Iterator[tuple[str, Batch]]:
        yield element.column("user")[0].as_py(), element


class Describe(beam.DoFn):
    """A pane of a key as plain values: key, window, and the seconds of its rows."""

    def process(
        self, element: Any, window: Any = beam.DoFn.WindowParam
    ) -> Iterator[tuple[str, float, float, tuple[float, ...]]]:
        key, batches = element
        rows = sorted(seconds(row["at"]) for part in batches for row in part.to_pylist())
        yield key, float(window.start), float(window.end), tuple(rows)


def grouped(windowed: beam.PCollection) -> beam.PCollection:
    """Group batches by user and window, and describe the panes."""
    keyed = windowed | "Key" >> beam.ParDo(KeyByUser()).with_output_types(tuple[str, Batch])
    return keyed | beam.GroupByKey() | beam.ParDo(Describe())


BATCH_CASES = [
    (Fixed(60), [("a", 0.0, 60.0, (1.0, 59.0)), ("a", 60.0, 120.0, (61.0,))]),
    (
        Sliding(60, 30),
        [
            ("a", -30.0, 30.0, (1.0,)),
            ("a", 0.0, 60.0, (1.0, 59.0)),
            ("a", 30.0, 90.0, (59.0, 61.0)),
            ("a", 60.0, 120.0, (61.0,)),
        ],
    ),
    (
        Session(30, (column("user"),)),
        [("a", 1.0, 31.0, (1.0,)), ("a", 59.0, 91.0, (59.0, 61.0))],
    ),
]


@pytest.mark.parametrize(("windows", "panes"), BATCH_CASES, ids=["fixed", "sliding", "session"])
@pytest.mark.parametrize("runner", [FnApiRunner, BundleBasedDirectRunner])
def test_rows_reach_their_windows(runner: Any, windows: Windows, panes: list[Any]) -> None:
    """Grouping after Windowing gives each window exactly its rows, on both local runners."""
    with beam.Pipeline(runner=runner()) as pipeline:
        rows = pipeline | beam.Create([batch(("a", 61), ("a", 1), ("a", 59))])
        assert_that(grouped((rows | Windowing(windows, column("at"))).ok), equal_to(panes))


def test_rows_without_a_time_are_dead() -> None:
    """A row whose event time is null goes to dead; the rest of its batch goes on."""
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        rows = pipeline | beam.Create([batch(("a", 1), ("b", None))])
        ok, dead = rows | Windowing(Fixed(60), column("at"), step="Clock")
        kinds = dead | beam.Map(
            lambda part: part.select(["step", "error_kind", "data"]).to_pylist()
        )
        assert_that(ok | beam.Map(len), equal_to([1]), "ok")
        expected = {
            "step": "Clock",
            "error_kind": "bad_event_time",
            "data": b'{"user":"b","at":null}',
        }
        assert_that(kinds, equal_to([[expected]]), "dead")


def test_batches_keep_their_coder() -> None:
    """Both outputs are typed as Batch, so that Arrow IPC and not pickle carries them."""
    pipeline = beam.Pipeline(runner=FnApiRunner())
    for windows in (Fixed(60), Session(30)):
        rows = pipeline | f"{windows}" >> beam.Create([batch(("a", 1))])
        ok, dead = rows | f"W {windows}" >> Windowing(windows, column("at"))
        assert ok.element_type is Batch
        assert dead.element_type is Batch
