"""What a user's function does to rows: fan-out, named outputs, dead letters, other columns."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from connectors import storage
from connectors.broker import Broker
from pipelines import launch
from tests.account import figures, unaccounted
from tests.commands import ROOT, module_of
from tests.topics import Sent, publish, subscription, take, topic

TOPICS = ("events", "odd", "out", "small")

SCHEMA = [
    {"name": "id", "type": "STRING", "mode": "REQUIRED"},
    {"name": "at", "type": "TIMESTAMP", "mode": "REQUIRED"},
    {"name": "legs", "type": "INTEGER"},
]
LEGS = [
    {"name": "id", "type": "STRING", "mode": "REQUIRED"},
    {"name": "took_off", "type": "TIMESTAMP", "mode": "REQUIRED"},
    {"name": "leg", "type": "INTEGER", "mode": "REQUIRED"},
]
FUNCTIONS = '''
from datetime import datetime, timedelta, timezone


def legs(row):
    """A row for each leg, of which none has another's time or columns of the journey."""
    if row["legs"] is None:
        raise ValueError("how many legs?")
    return [
        {"id": row["id"], "took_off": row["at"] + timedelta(hours=leg), "leg": leg}
        for leg in range(row["legs"])
    ]


def small(row, message):
    if row["legs"] is None or row["legs"] > 2:
        return "odd", {"id": row["id"], "from": message["attributes"]["from"]}
    return [("small", row), row] if row["legs"] == 1 else row


def halves(text: str):
    return text.split("|")


def csv(message):
    """What no schema of JSON describes."""
    name, hour, legs = message["data"].decode().split(";")
    at = datetime(2026, 1, 1, int(hour), tzinfo=timezone.utc)
    return [{"id": name, "took_off": at, "leg": leg} for leg in range(int(legs))]


def upper(message):
    message["data"] = message["data"].upper()
    message["attributes"]["was"] = message["message_id"]
    return message
'''


@pytest.fixture
def folder(
    broker: Broker,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> Path:
    """Work in a folder with the files that all tests need."""
    caplog.set_level(logging.INFO, "headrace")
    (tmp_path / "schema.json").write_text(json.dumps(SCHEMA))
    (tmp_path / "legs.json").write_text(json.dumps(LEGS))
    (tmp_path / "f.py").write_text(FUNCTIONS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def journey(number: int, legs: int | None) -> Sent:
    """Return a message."""
    payload = {"id": f"j{number}", "at": f"2026-01-01T0{number % 10}:00:00Z", "legs": legs}
    return Sent(json.dumps(payload).encode(), {"from": "FRA", "n": str(number)}, f"key-{number}")


def run(pipeline: str, *argv: str, log: pytest.LogCaptureFixture) -> dict[str, int]:
    """Run a pipeline that is to succeed; return its account, of which nothing is missing."""
    log.clear()
    assert launch.status(module_of(pipeline), [*argv]) == 0, log.text
    found = figures(log.text)
    assert unaccounted(found) == 0, found
    return found


def rows_in(folder: str) -> list[dict[str, Any]]:
    """Return the rows of Parquet files."""
    path = Path(folder)
    return pq.read_table(path).to_pylist() if any(path.rglob("*.parquet")) else []


def archived(folder: str) -> list[dict[str, Any]]:
    """Return the messages of an archive."""
    found = [row for batch in storage.read_archive(folder) for row in batch.to_pylist()]
    return sorted(found, key=lambda row: row["data"])


LAKE = [
    f"--subscription={subscription('events')}", "--schema=schema.json", "--output=lake",
    "--dead_letter=dead",
]  # fmt: skip


@pytest.mark.parametrize("key", ["id", "attribute:n", "message:message_id"])
def test_rows_of_a_message_are_no_repeats_of_each_other(
    folder: Path, caplog: pytest.LogCaptureFixture, key: str
) -> None:
    """Each leg is kept once, of whatever makes an event the same; one that comes again is not."""
    argv = ["--udf=f.py:legs", "--udf_schema=legs.json", f"--dedup_by={key}"]
    flags = [*LAKE, *argv, "--event_time=took_off", "--partition_by=date(took_off)"]
    journeys = [journey(number, number % 4) for number in range(8)]
    again = [] if key.startswith("message") else journeys[2:]
    publish("events", [*journeys, *again, journey(9, None), Sent(b"{", {})])
    found = run("pubsub_to_lake", *flags, log=caplog)
    kept = sorted((row["id"], row["leg"]) for row in rows_in("lake"))
    assert kept == sorted((f"j{n}", leg) for n in range(8) for leg in range(n % 4))
    assert set(rows_in("lake")[0]) == {"id", "took_off", "leg", "date"}
    assert found["dup"] == sum(number % 4 for number in range(2, 2 + len(again)))
    assert found["filtered"] == (3 if again else 2)
    dead = {row["step"]: row for row in rows_in("dead")}
    assert (dead["UserFunction"]["error_kind"], dead["Parse"]["data"]) == ("udf_error", b"{")
    assert "ValueError: how many legs? (f.py:8)" in dead["UserFunction"]["error"]


def test_named_outputs_hold_whole_messages(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A topic gets them, a folder is an archive, and both can be published again."""
    publish("events", [journey(number, number % 4 or None) for number in range(8)])
    outputs = f"--udf_outputs=odd=./odd,small={topic('small')}"
    found = run("pubsub_to_lake", *LAKE, "--udf=f.py:small", outputs, log=caplog)
    assert (found["written"], found["routed"], found["made"]) == (4, 6, 2)
    first = archived("odd")[0]
    assert json.loads(first["data"]) == {"id": "j0", "from": "FRA"}
    assert (dict(first["attributes"])["n"], first["ordering_key"]) == ("0", "key-0")
    assert sorted(json.loads(each.data)["id"] for each in take("small")) == ["j1", "j5"]
    replay = ["--archive=odd", f"--output_topic={topic('out')}", "--dead_letter=unsent"]
    assert run("archive_replay", *replay, log=caplog)["published"] == 4
    again = take("out")
    assert sorted(each.attributes["n"] for each in again) == ["0", "3", "4", "7"]
    assert {json.loads(each.data)["from"] for each in again} == {"FRA"}


def test_dead_letters_go_through_the_mended_function(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """They hold the message as it came, what failed in the parser behind a function as well."""
    bad = [Sent(b'{"id": "a"}|{', {"n": "1"}), Sent(b"\xff", {"n": "2"})]
    publish("events", bad)
    (folder / "schema.json").write_text('[{"name": "id", "type": "STRING", "mode": "REQUIRED"}]')
    found = run("pubsub_to_lake", *LAKE, "--udf=f.py:halves", log=caplog)
    assert (found["written"], found["dead"], found["made"]) == (1, 2, 1)
    dead = {row["step"]: row["data"] for row in rows_in("dead")}
    assert dead == {"Parse": bad[0].data, "UserFunction": bad[1].data}
    (folder / "f.py").write_text('def mended(data: bytes):\n    return b\'{"id": "b"}\'\n')
    replay = ["--failures=dead", f"--output_topic={topic('events')}", "--dead_letter=still"]
    assert run("deadletter_replay", *replay, log=caplog)["published"] == 2
    run("pubsub_to_lake", *LAKE, "--udf=f.py:mended", log=caplog)
    assert sorted(row["id"] for row in rows_in("lake")) == ["a", "b", "b"]


def test_messages_are_changed_where_there_are_no_columns(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Data and attributes are what the function made them; the rest stays."""
    publish("events", [journey(1, 1)])
    flags = [f"--subscription={subscription('events')}", "--dead_letter=dead", "--udf=f.py:upper"]
    run("pubsub_to_storage", *flags, "--output=archive", log=caplog)
    (row,) = archived("archive")
    assert row["data"] == journey(1, 1).data.upper()
    attributes = dict(row["attributes"])
    assert attributes == {"from": "FRA", "n": "1", "was": row["message_id"]}


def test_function_is_the_parser_where_there_is_no_schema(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Rows of what is no JSON, in files by their own times; what it can't read is dead."""
    publish("events", [Sent(text, {}) for text in (b"a;3;2", b"a;3;2", b"b;4;1", b"c;x;1")])
    flags = [f"--subscription={subscription('events')}", "--dead_letter=dead", "--udf=f.py:csv"]
    more = ["--udf_schema=legs.json", "--event_time=took_off", "--dedup_by=id", "--format=parquet"]
    found = run("pubsub_to_storage", *flags, *more, "--output=out", "--folders=%H", log=caplog)
    assert (found["written"], found["dup"], found["dead"]) == (3, 2, 1)
    kept = sorted((row["id"], row["leg"], row["took_off"].hour) for row in rows_in("out"))
    assert kept == [("a", 0, 3), ("a", 1, 3), ("b", 0, 4)]
    assert sorted(path.name for path in (folder / "out").iterdir() if path.is_dir())[-2:] == [
        "03", "04",
    ]  # fmt: skip
    (dead,) = rows_in("dead")
    assert (dead["data"], "f.py:" in dead["error"]) == (b"c;x;1", True)


def test_bus_publishes_what_rows_have_become(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """As JSON, with the attributes of the message; conditions and routes see the new columns."""
    publish("events", [journey(1, 1), journey(3, 3)])
    flags = [
        f"--subscription={subscription('events')}",
        "--dead_letter=dead",
        "--schema=schema.json",
    ]
    more = ["--udf=f.py:legs", "--udf_schema=legs.json", "--where=leg > 0"]
    found = run("pubsub_to_pubsub", *flags, *more, f"--output_topic={topic('out')}", log=caplog)
    assert (found["published"], found["filtered"]) == (2, 2)
    sent = sorted(take("out"), key=lambda each: each.data)
    assert [json.loads(each.data)["leg"] for each in sent] == [1, 2]
    assert {(each.attributes["n"], each.ordering_key) for each in sent} == {("3", "key-3")}


def test_javascript_is_as_google_runs_it(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Text to text; null leaves out, and an exception is a dead letter."""
    flight = json.loads((ROOT / "examples" / "flights.messages.jsonl").read_text().splitlines()[0])
    delays = [2, 40, None]
    flights = [json.dumps(flight | {"dep_delay": delay}).encode() for delay in delays]
    publish("events", [*(Sent(data, {}) for data in flights), Sent(b"{", {})])
    columns = json.loads((ROOT / "pipelines" / "demo" / "flights.json").read_text())
    (folder / "late.json").write_text(json.dumps([*columns, {"name": "late", "type": "BOOLEAN"}]))
    script = ROOT / "examples" / "udf" / "flights.js"
    flags = [*LAKE, "--schema=late.json", f"--udf={script}:delayed"]
    found = run("pubsub_to_lake", *flags, log=caplog)
    assert (found["filtered"], found["dead"]) == (1, 1)
    assert sorted(row["late"] for row in rows_in("lake")) == [False, True]
    (dead,) = rows_in("dead")
    assert "SyntaxError" in dead["error"]


def test_function_that_leaves_nothing_is_told(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It may have been meant, and mostly was not."""
    (folder / "f.py").write_text("def f(row):\n    row['legs'] = 1\n")  # and no return
    publish("events", [journey(1, 1)])
    found = run("pubsub_to_lake", *LAKE, "--udf=f.py:f", log=caplog)
    assert (found["read"], found["filtered"], found["written"]) == (1, 1, 0)
    assert "nothing is left: --udf=f.py:f leaves out all 1 that were read" in caplog.text


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--udf_timeout=1s"], "--udf_timeout='1s': counts only for a function"),
        (["--udf=f.py:none"], "--udf='f.py:none': "),
        (["--udf=f.py:halves", "--udf_schema=legs.json"], "--udf_schema"),
        (
            ["--udf=f.py:legs", "--udf_schema=legs.json", "--event_time=at"],
            "column of --udf_schema",
        ),
        (["--udf=f.py:legs", "--udf_schema=part.json"], "has a column _part"),
        (["--udf=f.py:small", "--udf_outputs=odd=./lake/odd"], "is, holds or lies in --output"),
        (["--udf=f.py:small", "--udf_outputs=odd=./a,x=./a/b"], "--udf_outputs=odd=./a"),
        (["--udf=f.py:small", f"--udf_outputs=odd={topic('events')}"], "nothing would ever end"),
        (["--udf=f.py:small", f"--udf_outputs=odd={topic('none')}"], "--udf_outputs='odd=proj"),
    ],
)
def test_what_can_not_be_is_refused(
    folder: Path, capsys: pytest.CaptureFixture[str], flags: list[str], said: str
) -> None:
    """Before anything is read, by flag, value, rule and fix."""
    part = [*LEGS, {"name": "_part", "type": "INTEGER"}]
    (folder / "part.json").write_text(json.dumps(part))
    publish("events", [journey(1, 1)])
    assert launch.status(module_of("pubsub_to_lake"), [*LAKE, *flags]) == 2
    assert said in capsys.readouterr().err
    assert len(take("events")) == 1
