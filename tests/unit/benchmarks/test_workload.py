"""The input of the benchmark and what must become of it."""

import json
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest

from benchmarks.workload import Truth, Workload, generate
from transforms.message import DATA, MESSAGE_SCHEMA

EVENTS = 3_000


@pytest.fixture(scope="module")
def workload(tmp_path_factory: pytest.TempPathFactory) -> Workload:
    return generate(tmp_path_factory.mktemp("workload"), EVENTS)


def read_naively(path: Path) -> Truth:
    """Work out the truth from the lines alone."""
    events: dict[str, dict] = {}
    duplicates = malformed = 0
    for line in path.read_bytes().splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            malformed += 1
            continue
        if type(event["user_id"]) is not int:
            malformed += 1
        elif event["event_id"] in events:
            duplicates += 1
        else:
            events[event["event_id"]] = event
    times = pa.array([event["event_time"] for event in events.values()])
    minutes = times.cast(pa.timestamp("ms", "UTC")).cast(pa.int64()).to_pylist()
    return Truth(
        rows=len(events),
        user_id_sum=sum(event["user_id"] for event in events.values()),
        rows_by_minute=dict(Counter(time_ms // 60_000 for time_ms in minutes)),
        duplicates=duplicates,
        malformed=malformed,
    )


@pytest.mark.parametrize("events", [EVENTS, 1_000, 1])
def test_truth_is_what_a_naive_reader_finds(workload: Workload, events: int) -> None:
    """The truth of any prefix, known from the generator, is that of the bytes in the file."""
    assert workload.truth(events) == read_naively(workload.lines(events))


def test_shares_are_as_stated(workload: Workload) -> None:
    """One in a thousand is malformed; of the others one in twenty is a duplicate."""
    truth = workload.truth(EVENTS)
    assert (truth.malformed, truth.duplicates) == (3, 150)
    assert truth.rows == EVENTS - 153


def test_same_seed_gives_the_same_bytes(workload: Workload, tmp_path: Path) -> None:
    """Whoever generates the input anew measures the same work."""
    again = generate(tmp_path, EVENTS)
    assert again.lines(EVENTS).read_bytes() == workload.lines(EVENTS).read_bytes()
    assert again.messages.read_bytes() == workload.messages.read_bytes()


def test_messages_hold_the_lines(workload: Workload) -> None:
    """Both files hold the same payloads in the same order."""
    with pa.ipc.open_file(workload.messages) as reader:
        messages = reader.read_all()
    assert messages.schema == MESSAGE_SCHEMA
    assert messages[DATA].to_pylist() == workload.lines(EVENTS).read_bytes().splitlines()


def test_unfinished_input_is_made_anew(tmp_path: Path) -> None:
    """A generation that was killed leaves nothing that is taken for an input."""
    whole = generate(tmp_path / "whole", 100)
    cut = tmp_path / "cut" / whole.folder.with_suffix(".unfinished").name
    cut.mkdir(parents=True)
    (cut / "events.ndjson").write_bytes(b"{")
    again = generate(tmp_path / "cut", 100)
    assert again.lines(100).read_bytes() == whole.lines(100).read_bytes()
