"""Partitions: how they are written down, and how batches are split by them."""

from __future__ import annotations

import datetime as dt

import pyarrow as pa
import pytest

from connectors.lake.partition import Granularity, Partition, split
from transforms.batch import Batch
from transforms.errors import ConfigError, PermanentError

UTC = dt.timezone.utc
TIMES = [dt.datetime(2013, 1, 1, hour, 30, tzinfo=UTC) for hour in (5, 5, 6)]
FLIGHTS = Batch(
    pa.record_batch(
        {
            "carrier": ["UA", "AA", "UA"],
            "time_hour": pa.array(TIMES, pa.timestamp("us", "UTC")),
            "delay": [1.5, None, 2.5],
        }
    )
)


def folders(batch: Batch, text: str) -> dict[str, list[dict[str, object]]]:
    return {folder: part.to_pylist() for folder, part in split(batch, Partition.parse(text))}


def test_levels_are_read_from_text() -> None:
    """Columns, parts of times, and names of one's own."""
    assert Partition.parse("date(event_time), carrier,at=hour(event_time)") == (
        Partition("event_time", Granularity.DATE, "date"),
        Partition("carrier"),
        Partition("event_time", Granularity.HOUR, "at"),
    )
    assert Partition.parse("") == ()


@pytest.mark.parametrize("text", ["week(t)", "date(", "a,,b", "date()", "carrier,carrier", "a=b=c"])
def test_text_that_cannot_be_read_is_refused(text: str) -> None:
    """The error shows the text, the rule and an example."""
    with pytest.raises(ConfigError, match="partition_by="):
        Partition.parse(text)


def test_rows_are_split_by_column_and_time() -> None:
    """The column is in the folder and not in the file; a time stays in the file."""
    assert folders(FLIGHTS, "date(time_hour),carrier") == {
        "date=2013-01-01/carrier=UA": [
            {"time_hour": TIMES[0], "delay": 1.5}, {"time_hour": TIMES[2], "delay": 2.5}],
        "date=2013-01-01/carrier=AA": [{"time_hour": TIMES[1], "delay": None}],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("unit", "values"),
    [("year", ["2013"]), ("month", ["2013-01"]), ("date", ["2013-01-01"]),
     ("hour", ["2013-01-01T05", "2013-01-01T06"]),
     ("minute", ["2013-01-01T05%3A30", "2013-01-01T06%3A30"])],
)  # fmt: skip
def test_a_granularity_keeps_what_is_above_it(unit: str, values: list[str]) -> None:
    """An hour's folder tells its day too, so that days are never mixed."""
    assert sorted(folders(FLIGHTS, f"{unit}(time_hour)")) == [f"{unit}={v}" for v in values]


def test_a_batch_of_one_folder_is_not_copied() -> None:
    """The common case costs nothing: the columns are the same memory."""
    (part,) = (part for _, part in split(FLIGHTS, Partition.parse("date(time_hour)")))
    assert part.column("delay").buffers()[1].address == FLIGHTS.column("delay").buffers()[1].address


def test_times_before_1970_and_nulls_have_their_folder() -> None:
    """Time is cut downwards, and null has Hive's folder."""
    times = pa.array([dt.datetime(1969, 12, 31, 23, 59), None], pa.timestamp("ms"))
    batch = Batch(pa.record_batch({"t": times}))
    assert sorted(folders(batch, "date(t)")) == [
        "date=1969-12-31", "date=__HIVE_DEFAULT_PARTITION__"]  # fmt: skip


def test_integers_booleans_and_dates_are_written_exactly() -> None:
    """What a text holds exactly may be a folder's value."""
    batch = Batch(pa.record_batch({"i": [-7], "b": [True], "d": [dt.date(2013, 1, 2)], "x": [1]}))
    assert list(folders(batch, "i,b,d")) == ["i=-7/b=true/d=2013-01-02"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [("delay", "can't hold a double exactly"), ("time_hour", "can't hold a timestamp"),
     ("absent", "no column 'absent'"), ("date(carrier)", "only a timestamp or a date"),
     ("delay=hour(time_hour)", "files have columns of that name")],
)  # fmt: skip
def test_what_cannot_be_partitioned_stops_with_a_reason(text: str, reason: str) -> None:
    """The error says what to partition by instead."""
    with pytest.raises(PermanentError, match=reason):
        folders(FLIGHTS, text)


def test_an_empty_batch_has_no_folder_of_its_own() -> None:
    """No row, no partition."""
    assert [len(part) for _, part in split(FLIGHTS.slice(0, 0), Partition.parse("carrier"))] == [0]
