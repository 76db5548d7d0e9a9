"""The job that aggregates, with its real command line: answers of each window, exactly."""

import datetime as dt
import json
import random
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds
import pytest

from connectors.bigquery.session import session
from connectors.bigquery_local import Server
from connectors.broker import Broker
from connectors.clients import bigquery_endpoint, open_bigquery
from pipelines import launch, pubsub_aggregate
from tests.processes import start_pipeline, wait_until
from tests.topics import Sent, publish, subscription, take, topic

TOPICS = ("events", "answers")

SCHEMA = [
    {"name": "id", "type": "STRING", "mode": "REQUIRED"},
    {"name": "at", "type": "TIMESTAMP", "mode": "REQUIRED"},
    {"name": "team", "type": "STRING"},
    {"name": "n", "type": "INTEGER"},
]
START = dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc)
MEASURES = "--measures=rows=count(),total=sum(n),most=max(n),ids=distinct(id)"

Event = dict[str, Any]


def event(number: int) -> Event:
    """Return an event; ten of them make a minute."""
    at = START + dt.timedelta(seconds=6 * number)
    return {"id": f"e{number}", "at": at.isoformat(), "team": "abc"[number % 3], "n": number}


def sent(events: list[Event]) -> list[Sent]:
    """Return events as messages."""
    return [Sent(json.dumps(each).encode(), {"kind": "ab"[each["n"] % 2]}) for each in events]


@pytest.fixture(params=["direct", "local"])
def runner(request: pytest.FixtureRequest, tmp_path: Path) -> list[str]:
    """Return the flags of a runner that reads all there is and ends."""
    return [] if request.param == "direct" else local(tmp_path, "--max_seconds=3s")


def local(tmp_path: Path, *more: str) -> list[str]:
    """Return the flags of the local runner."""
    return ["--runner=local", f"--state_dir={tmp_path}/state", "--on_stop=drain", *more]


def flags(tmp_path: Path, output: str | None = None) -> list[str]:
    """Return the command line that is common to all tests."""
    schema = tmp_path / "schema.json"
    schema.write_text(json.dumps(SCHEMA))
    return [
        f"--subscription={subscription('events')}",
        f"--schema={schema}",
        "--event_time=at",
        "--dedup_by=id",
        "--window=1m",
        "--by=team",
        MEASURES,
        output or f"--output={tmp_path / 'lake'}",
        f"--dead_letter={tmp_path / 'dead'}",
    ]


def run(argv: list[str]) -> int:
    """Run the pipeline in this process."""
    return launch.status(pubsub_aggregate, argv)


def rows(folder: Path) -> list[dict[str, Any]]:
    """Return what files hold."""
    files = sorted(str(path) for path in folder.rglob("*.parquet"))
    return ds.dataset(files, format="parquet").to_table().to_pylist() if files else []


def expected(events: list[Event], window_s: int = 60) -> dict[tuple[str, dt.datetime], Any]:
    """Return the answers by team and start of the window, as plain Python counts them."""
    groups: dict[tuple[str, dt.datetime], list[int]] = defaultdict(list)
    for each in events:
        seconds = (dt.datetime.fromisoformat(each["at"]) - START).total_seconds()
        start = START + dt.timedelta(seconds=seconds // window_s * window_s)
        groups[each["team"], start].append(each["n"])
    return {group: (len(ns), sum(ns), max(ns), len(ns)) for group, ns in groups.items()}


def answers(found: list[dict[str, Any]]) -> dict[tuple[str, dt.datetime], Any]:
    """Return the last answer of each team and window."""
    by_pane = sorted(found, key=lambda row: row["pane_index"])
    return {
        (row["team"], _time(row["window_start"])): (
            row["rows"], row["total"], row["most"], row["ids"],
        )
        for row in by_pane
    }  # fmt: skip


def _time(value: Any) -> dt.datetime:
    if isinstance(value, str):
        value = dt.datetime.fromisoformat(value.replace("Z", "+00:00"))
    assert isinstance(value, dt.datetime)
    return value


EVENTS = [event(number) for number in range(300)]
NOISE = [Sent(b"{", {}), Sent(b'{"id": "x", "at": "never"}', {})]


def test_answers_are_exact_and_all_is_accounted_for(
    broker: Broker, tmp_path: Path, runner: list[str]
) -> None:
    """Published is what was counted, what was seen before, and what is dead."""
    publish("events", [*sent(EVENTS), *sent(EVENTS[:50]), *NOISE])
    assert run([*flags(tmp_path), *runner]) == 0
    found = rows(tmp_path / "lake")
    assert answers(found) == expected(EVENTS)
    assert sum(count for count, *_ in answers(found).values()) == 300
    assert sorted(row["data"] for row in rows(tmp_path / "dead")) == sorted(n.data for n in NOISE)
    assert {row["window_end"] - row["window_start"] for row in found} == {dt.timedelta(minutes=1)}
    assert take("events") == []


def test_answers_go_to_a_topic_as_json(broker: Broker, tmp_path: Path, runner: list[str]) -> None:
    """Each answer is a message of its own."""
    publish("events", sent(EVENTS))
    assert run([*flags(tmp_path, f"--output_topic={topic('answers')}"), *runner]) == 0
    found = [json.loads(each.data) for each in take("answers")]
    assert answers(found) == expected(EVENTS)
    # Late batches give a window further panes; of each pane there is one answer per team.
    panes = Counter((row["team"], row["window_start"], row["pane_index"]) for row in found)
    assert set(panes.values()) == {1}


def test_answers_go_to_a_table(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """The table is made, with a partition for each day; one of other columns is refused."""
    publish("events", sent(EVENTS))
    with Server(project="test-project") as server:
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", server.rest_endpoint)
        monkeypatch.setenv("BIGQUERY_STORAGE_EMULATOR_HOST", server.grpc_endpoint)
        open_bigquery(bigquery_endpoint(), "test-project").create_dataset("d", retry=None)
        assert run(flags(tmp_path, "--output_table=test-project.d.answers")) == 0
        found = server.query("SELECT * FROM d.answers").to_pylist()
        other = "--measures=rows=count(),least=min(n)"
        argv = flags(tmp_path, "--output_table=test-project.d.answers")
        assert run([*argv, other]) == 2
        session().close()
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: --output_table='test-project.d.answers': can't take the rows")
    assert "least (int64) is no column of the table" in error
    assert answers(found) == expected(EVENTS)


@pytest.mark.parametrize("seed", range(3))
def test_sliding_windows_count_each_row_in_each(broker: Broker, tmp_path: Path, seed: int) -> None:
    """Whatever the order of events, the sum over windows is that of rows times windows."""
    shuffled = random.Random(seed).sample(EVENTS, len(EVENTS))
    publish("events", sent(shuffled))
    assert run([*flags(tmp_path), "--window=sliding:2m/1m", "--by="]) == 0
    found = rows(tmp_path / "lake")
    assert sum(row["rows"] for row in found) == 2 * len(EVENTS)
    assert {row["rows"] for row in found} == {10, 20}


def test_sessions_end_after_a_gap(broker: Broker, tmp_path: Path, runner: list[str]) -> None:
    """Events of a key that are close are one session."""
    events = [event(number) for number in (0, 3, 6, 100, 103, 1, 4)]
    publish("events", sent(events))
    assert run([*flags(tmp_path), "--window=session:30s/team", "--disorder=1h", *runner]) == 0
    found = rows(tmp_path / "lake")
    last = {(row["team"], row["window_start"], row["window_end"]): row["rows"] for row in found}
    assert sorted((team, count) for (team, _, _), count in last.items()) == [
        ("a", 3), ("b", 2), ("b", 2),
    ]  # fmt: skip


def test_attributes_can_be_grouped_and_measured(
    broker: Broker, tmp_path: Path, runner: list[str]
) -> None:
    """Parts of the message are there until they were counted."""
    publish("events", sent(EVENTS))
    more = ["--by=attribute:kind", "--measures=rows=count(),kinds=distinct(attribute:kind)"]
    assert run([*flags(tmp_path), "--window=1h", *more, *runner]) == 0
    found = {row["kind"]: (row["rows"], row["kinds"]) for row in rows(tmp_path / "lake")}
    assert found == {"a": (150, 1), "b": (150, 1)}


def test_killed_job_goes_on_and_counts_each_once(broker: Broker, tmp_path: Path) -> None:
    """After each kill the open windows are as they were: nothing is lost or counted twice."""
    argv = [*flags(tmp_path), *local(tmp_path), "--partition_by=date(window_start)"]
    for life in range(3):
        publish("events", sent(EVENTS[life * 100 : (life + 1) * 100]))
        process = start_pipeline(
            "pipelines.pubsub_aggregate", broker.address, argv, tmp_path / "log"
        )
        closed = life * 10 + 8
        wait_until(lambda closed=closed: len(answers(lake_rows(tmp_path))) >= closed * 3, 60)  # type: ignore[misc]
        process.kill()
        process.wait()
    assert run([*argv, "--max_seconds=4s"]) == 0
    assert answers(lake_rows(tmp_path)) == expected(EVENTS)


def lake_rows(tmp_path: Path) -> list[dict[str, Any]]:
    """Return the rows of the lake, but for files that go away while they are read."""
    return rows(tmp_path / "lake") if (tmp_path / "lake").exists() else []


BAD_FLAGS = {
    "no output": (["--output_topic=" + topic("answers")], ["--output or --output_topic"]),
    "measure": (["--measures=n=median(n)"], ["--measures=", "count()"]),
    "no column": (["--measures=x=sum(gone)"], ["--measures='x=sum(gone)'", "--schema"]),
    "no number": (["--measures=x=sum(team)"], ["--measures=", "measure x", "string"]),
    "no group": (["--by=gone"], ["--by='gone'"]),
    "two names": (["--by=team", "--measures=team=count()"], ["--measures", "team", "Rename"]),
    "session": (["--window=session:1m/gone"], ["--window='session:1m/gone'", "no column"]),
    "partition": (["--partition_by=date(team)"], ["--partition_by=", "no time"]),
    "same folder": (["--dead_letter=./x", "--output=./x"], ["--dead_letter", "--output"]),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_FLAGS)
def test_bad_flag_is_refused(tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The error names flag, value, rule and fix, before anyone is asked."""
    more, words = BAD_FLAGS[name]
    assert run([*flags(tmp_path), *more]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert all(word in error for word in words), error


def test_answers_on_a_topic_tell_which_they_are(broker: Broker, tmp_path: Path) -> None:
    """The id of an answer is that of its group, window and pane: the same in another run."""
    found = []
    for _ in range(2):
        publish("events", [*sent(EVENTS), Sent(b'{"id": "no team", "at": "2026-01-01"}', {})])
        argv = [*flags(tmp_path, f"--output_topic={topic('answers')}"), "--id_attribute=answer"]
        assert run(argv) == 0
        messages = take("answers")
        ids = {message.attributes["answer"]: message.data for message in messages}
        assert len(ids) == len(messages) > 50
        found.append(ids)
    assert found[0] == found[1]


def test_id_without_a_topic_is_refused(
    broker: Broker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rows in a lake have no attributes."""
    assert run([*flags(tmp_path), "--id_attribute=answer"]) == 2
    assert "--id_attribute='answer': counts only for a topic" in capsys.readouterr().err
