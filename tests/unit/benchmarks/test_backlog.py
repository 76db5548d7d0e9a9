"""The backlog's messages, and what is said of memory and disk."""

from dataclasses import replace
from pathlib import Path

import msgspec
import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from benchmarks import backlog_input
from benchmarks.backlog import Figures, reconcile
from benchmarks.footprint import Footprint, disk_bytes
from tests.processes import wait_until
from transforms.message import DATA

TOTAL = 20_000
FIGURES = Figures("small windows", 1_000_000, 10.0, 4.0, 600 << 20, 100 << 20, 50 << 20, 0)


def events(first: int, end: int) -> list[dict[str, object]]:
    """Return what is in the messages."""
    data = backlog_input.messages(first, end, TOTAL).column(DATA)
    return [msgspec.json.decode(text) for text in data.to_pylist()]


def test_messages_depend_on_their_numbers_alone() -> None:
    """However many are made at once."""
    assert events(0, 50) == events(0, 20) + events(20, 50)


def test_some_messages_repeat_an_earlier_one() -> None:
    """The whole message, and never one that is still to come."""
    found = events(0, TOTAL)
    numbers = [event["number"] for event in found]
    assert len(set(numbers)) == backlog_input.distinct(TOTAL)
    for at, event in enumerate(found):
        if event["number"] != at:
            assert event["number"] < at
            assert event == found[event["number"]]


def test_the_closing_event_comes_long_after_all_others() -> None:
    """Its number is one more."""
    (closing,) = [
        msgspec.json.decode(text) for text in backlog_input.closing(TOTAL).column(DATA).to_pylist()
    ]
    assert closing["number"] == TOTAL
    assert closing["event_time"][:10] > max(event["event_time"] for event in events(0, TOTAL))[:10]


def test_target_is_reached_or_missed() -> None:
    """Memory counts; disk stands beside it."""
    assert FIGURES.words() == (
        "small windows: 1,000,000 messages in 10 s, 250,000 a core-second; memory at most 600 MiB, "
        "disk 100 MiB, 50 when the windows had closed, 0 in the end; "
        "target < 1,024 MiB of memory: reached"
    )
    assert replace(FIGURES, rss_bytes_max=1 << 30).words().endswith("missed")


@pytest.mark.parametrize("numbers", [[0, 1], [0, 1, 2, 2], [0, 1, 1]])
def test_wrong_lake_fails(tmp_path: Path, numbers: list[int]) -> None:
    """An event is missing or there twice."""
    pq.write_table(pa.table({"number": numbers}), tmp_path / "a.parquet")
    with pytest.raises(SystemExit, match="FAILED"):
        reconcile(tmp_path, 2)


def test_right_lake_passes(tmp_path: Path) -> None:
    """Each event once, in any order, and the closing one."""
    pq.write_table(pa.table({"number": [2, 0, 1]}), tmp_path / "a.parquet")
    reconcile(tmp_path, 2)


def test_footprint_sees_memory_and_disk(tmp_path: Path) -> None:
    """Of this process, and of a folder that is not there at first."""
    folder = tmp_path / "folder"
    assert disk_bytes(folder) == 0
    with Footprint(psutil.Process(), folder) as footprint:
        wait_until(lambda: bool(footprint.looks), 10)
        (folder / "deep").mkdir(parents=True)
        (folder / "deep/file").write_bytes(b"x" * 1_000_000)
        wait_until(lambda: footprint.disk_bytes >= 1_000_000, 10)
        (folder / "deep/file").unlink()
        wait_until(lambda: footprint.disk_bytes == 0, 10)
    assert footprint.disk_bytes_max >= 1_000_000
    assert footprint.rss_bytes_max > 10_000_000
