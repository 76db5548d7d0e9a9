"""The main job with its real command line, against a real broker in this process."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds
import pytest

from connectors.broker import Broker
from connectors.ledger import Ledger
from pipelines import launch, pubsub_to_lake
from tests.processes import free_port
from tests.topics import publish_payloads

TOPICS = ("clicks",)
publish = partial(publish_payloads, *TOPICS)

TOPIC = "projects/demo/topics/clicks"
SUBSCRIPTION = "projects/demo/subscriptions/clicks"
SCHEMA = [
    {"name": "id", "type": "STRING", "mode": "REQUIRED"},
    {"name": "at", "type": "TIMESTAMP", "mode": "REQUIRED"},
    {"name": "n", "type": "INTEGER"},
    {"name": "x", "type": "FLOAT"},
]


def click(number: int, **more: Any) -> bytes:
    event = {"id": f"e{number}", "at": f"2026-01-01T00:{number % 60:02d}:00Z", "n": number}
    return json.dumps(event | more).encode()


@pytest.fixture
def flags(tmp_path: Path) -> dict[str, str]:
    schema = tmp_path / "clicks.json"
    schema.write_text(json.dumps(SCHEMA))
    return {
        "subscription": SUBSCRIPTION,
        "schema": str(schema),
        "output": str(tmp_path / "lake"),
        "dead_letter": str(tmp_path / "dead"),
        "event_time": "at",
        "dedup_by": "id",
        "window": "1h",
    }


def run(flags: dict[str, str], *more: str) -> int:
    return launch.status(pubsub_to_lake, [*(f"--{k}={v}" for k, v in flags.items()), *more])


def rows(folder: str) -> list[dict[str, Any]]:
    files = sorted(str(path) for path in Path(folder).rglob("*.parquet"))
    return ds.dataset(files, format="parquet").to_table().to_pylist() if files else []


def ids(flags: dict[str, str]) -> list[str]:
    return sorted(row["id"] for row in rows(flags["output"]))


def test_each_message_is_a_row_a_duplicate_or_a_dead_letter(
    broker: Broker, flags: dict[str, str]
) -> None:
    """What was published is accounted for exactly, in the files and in the commit record."""
    publish([*map(click, range(200)), *map(click, range(50)), b"{", b"[]"])
    assert run(flags) == 0
    assert ids(flags) == sorted(f"e{number}" for number in range(200))
    assert [row["data"] for row in rows(flags["dead_letter"])] == [b"{", b"[]"]
    (commit,) = Ledger(flags["output"]).commits()
    assert commit.acknowledged
    assert commit.counts["messages_read"] == 252
    assert commit.counts["duplicates"] == 50
    assert commit.counts["dead_letters"] == 2
    assert commit.counts["rows_written"] == 200


def test_dead_letter_names_pipeline_time_and_reason(broker: Broker, flags: dict[str, str]) -> None:
    """A rejected message can be understood and replayed from its record alone."""
    publish([click(1, n="many")])
    assert run(flags) == 0
    (dead,) = rows(flags["dead_letter"])
    assert dead["pipeline"] == "pubsub_to_lake"
    assert dead["failed_at"] is not None
    assert dead["error_kind"] == "wrong_type"
    assert "n" in dead["error"]
    assert dict(dead["attributes"]) == {"key": "k1"}
    assert json.loads(dead["data"])["n"] == "many"


def test_second_run_adds_to_the_same_window(broker: Broker, flags: dict[str, str]) -> None:
    """Two runs that both hold rows of one window keep the rows of both."""
    publish([click(1), click(2)])
    assert run(flags) == 0
    publish([click(3)])
    assert run(flags) == 0
    assert ids(flags) == ["e1", "e2", "e3"]


def test_run_without_messages_changes_nothing(broker: Broker, flags: dict[str, str]) -> None:
    """An empty backlog is no error and leaves no file."""
    assert run(flags) == 0
    assert rows(flags["output"]) == []


def test_limit_of_messages_is_exact(broker: Broker, flags: dict[str, str]) -> None:
    """A run takes as many as it was told, the next one takes the rest."""
    publish([*map(click, range(30))])
    assert run(flags, "--max_messages=12") == 0
    assert len(ids(flags)) == 12
    assert run(flags) == 0
    assert ids(flags) == sorted(f"e{number}" for number in range(30))


def test_failed_run_acknowledges_nothing(
    broker: Broker, flags: dict[str, str], monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """When a step fails, nothing is visible, all comes again, and the error names the cause."""

    def broken(*_arguments: object) -> None:
        raise ZeroDivisionError("the step is broken")

    publish([*map(click, range(10))])
    with monkeypatch.context() as patch:
        patch.setattr("connectors.lake.write.split", broken)
        assert run(flags) == 1
    assert "the step is broken" in capsys.readouterr().err
    assert rows(flags["output"]) == []
    assert run(flags) == 0
    assert len(ids(flags)) == 10


def test_partitions_and_shards_hold_the_same_rows(broker: Broker, flags: dict[str, str]) -> None:
    """Folders and parallel parts change where rows are, not which."""
    publish([*map(click, range(100)), *map(click, range(20))])
    assert run(flags, "--partition_by=minute(at)", "--shards=3") == 0
    assert ids(flags) == sorted(f"e{number}" for number in range(100))
    folders = {path.name for path in Path(flags["output"]).iterdir() if path.is_dir()}
    assert len(folders) == 60


def test_each_window_is_one_file(broker: Broker, flags: dict[str, str]) -> None:
    """However often the timers of a step before fire, a file is listed once and named as one."""
    days = [click(n, at=f"2026-01-{1 + n % 28:02d}T00:00:00Z") for n in range(560)]
    for start in range(0, 560, 20):
        publish(days[start : start + 20])
    assert run(flags, "--dedup_horizon=2h") == 0
    (commit,) = Ledger(flags["output"]).commits()
    assert len({file.staged for file in commit.files}) == len(commit.files) == 28
    assert all("-00000-of-00001-" in file.path for file in commit.files)


NASTY = {
    "empty payload": b"",
    "invalid UTF-8": b'{"id": "\xff", "at": "2026-01-01T00:00:00Z"}',
    "deeply nested": b"[" * 200_000,
    "nested below a field": b'{"id": "a", "extra": ' + b"[" * 200_000,
    "NaN": b'{"id": "a", "at": "2026-01-01T00:00:00Z", "x": NaN}',
    "Infinity": b'{"id": "a", "at": "2026-01-01T00:00:00Z", "x": Infinity}',
    "integer too large": click(1, n=2**63),
    "float too large": b'{"id": "a", "at": "2026-01-01T00:00:00Z", "x": 1e999}',
    "fraction in an integer": click(1, n=1.5),
    "time out of range": b'{"id": "a", "at": "2026-13-01T00:00:00Z"}',
    "two documents": b'{"id": "a"}{"id": "b"}',
    "newline between": b'{"id": "a",\n"at": "2026-01-01T00:00:00Z"}\n{}',
}


@pytest.mark.parametrize("name", NASTY)
def test_nasty_payload_is_a_dead_letter(name: str, broker: Broker, flags: dict[str, str]) -> None:
    """A payload that can't be a row costs no other row and is kept byte for byte."""
    publish([click(1), NASTY[name], click(2)])
    assert run(flags) == 0
    assert ids(flags) == ["e1", "e2"]
    assert [row["data"] for row in rows(flags["dead_letter"])] == [NASTY[name]]


def test_payload_of_nearly_ten_megabytes_passes(broker: Broker, flags: dict[str, str]) -> None:
    """The largest message that Pub/Sub takes is a row like any other."""
    publish([click(1, filler="x" * 9_900_000), click(2)])
    assert run(flags) == 0
    assert ids(flags) == ["e1", "e2"]


def test_last_of_duplicate_keys_counts(broker: Broker, flags: dict[str, str]) -> None:
    """JSON leaves duplicate keys open; here the last one wins, as in most parsers."""
    publish([b'{"id": "a", "n": 1, "at": "2026-01-01T00:00:00Z", "n": 2}'])
    assert run(flags) == 0
    assert [row["n"] for row in rows(flags["output"])] == [2]


def test_schema_that_does_not_match_loses_nothing(
    broker: Broker, flags: dict[str, str], tmp_path: Path
) -> None:
    """With the wrong schema every message is a dead letter that names the missing field."""
    other = tmp_path / "other.json"
    other.write_text(json.dumps([{"name": "email", "type": "STRING", "mode": "REQUIRED"}]))
    publish([*map(click, range(20))])
    assert (
        run(
            flags
            | {"schema": str(other), "event_time": "message:publish_time", "dedup_by": "email"}
        )
        == 0
    )
    dead = rows(flags["dead_letter"])
    assert len(dead) == 20
    assert all("email" in row["error"] for row in dead)


BAD_FLAGS = {
    "unknown flag": ({}, ["--outptu=x"], ["--outptu", "--output"]),
    "subscription": ({"subscription": "clicks"}, [], ["--subscription='clicks'", "projects/"]),
    "both sources": ({"topic": TOPIC}, [], ["--subscription or --topic"]),
    "missing schema file": ({"schema": "none.json"}, [], ["--schema='none.json'", "no such file"]),
    "window": ({"window": "1 hour"}, [], ["--window='1 hour'"]),
    "lateness": ({"allowed_lateness": "-1s"}, [], ["--allowed_lateness='-1s'"]),
    "partition": ({"partition_by": "century(at)"}, [], ["--partition_by='century(at)'"]),
    "count": ({}, ["--max_messages=0"], ["--max_messages='0'"]),
    "output": ({"output": "s3://bucket/x"}, [], ["--output='s3://bucket/x'", "gs://"]),
    "event time": ({"event_time": "message:body"}, [], ["--event_time='message:body'"]),
    "no such column": ({"event_time": "gone"}, [], ["--event_time='gone'", "--schema"]),
    "no time": ({"event_time": "n"}, [], ["--event_time='n'", "int64", "TIMESTAMP"]),
    "no partition": ({"partition_by": "date(n)"}, [], ["--partition_by=", "date(n)", "int64"]),
    "unknown key": ({"dedup_by": "missing"}, [], ["--dedup_by='missing'", "--schema"]),
    "same folder": ({"dead_letter": "SAME"}, [], ["--dead_letter", "--output"]),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_FLAGS)
def test_bad_flag_is_refused_before_anything_starts(
    name: str, flags: dict[str, str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The error names flag, value, rule and fix; no folder is made and nobody is called."""
    changes, more, words = BAD_FLAGS[name]
    changed = flags | changes
    if changed["dead_letter"] == "SAME":
        changed["dead_letter"] = changed["output"]
    assert run(changed, *more) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert all(word in error for word in words), error
    assert not (tmp_path / "lake").exists()


@pytest.mark.parametrize("text", ["", "{", "[]", '[{"name": "a", "type": "TEXTT"}]', '{"a": 1}'])
def test_bad_schema_file_is_refused(
    text: str, flags: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """A schema that can't be used is named with its path."""
    Path(flags["schema"]).write_text(text)
    assert run(flags) == 2
    assert f"--schema='{flags['schema']}'" in capsys.readouterr().err


def test_unreachable_broker_is_named(
    flags: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where nobody answers, the address and the command that starts a broker are shown."""
    address = f"127.0.0.1:{free_port()}"
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", address)
    assert run(flags) != 0
    error = capsys.readouterr().err
    assert address in error
    assert "python -m connectors.broker" in error


def test_missing_subscription_is_named(
    broker: Broker, flags: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """A subscription that doesn't exist is named, with a way to make it."""
    assert run(flags | {"subscription": "projects/demo/subscriptions/nobody"}) != 0
    assert "projects/demo/subscriptions/nobody" in capsys.readouterr().err


def test_output_that_is_a_file_is_refused(
    broker: Broker, flags: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """A folder that can't be made is named before any message is taken."""
    Path(flags["output"]).write_text("not a folder")
    publish([click(1)])
    assert run(flags) == 2
    assert flags["output"] in capsys.readouterr().err


def test_help_lists_every_flag(capsys: pytest.CaptureFixture[str]) -> None:
    """The help comes from the declaration of the parameters."""
    assert launch.status(pubsub_to_lake, ["--help"]) == 0
    text = capsys.readouterr().out
    assert "--subscription" in text
    assert "Beam options" in text
