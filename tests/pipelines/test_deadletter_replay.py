"""Replay with its real command line: from a real pipeline's dead letters to a real topic."""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds
import pytest

from connectors.bigquery.session import session
from connectors.bigquery_local import Fault, Server
from connectors.broker import Broker
from connectors.clients import bigquery_endpoint, open_bigquery
from pipelines import deadletter_replay, launch, pubsub_to_lake
from tests.processes import start_pipeline, wait_until
from tests.topics import Sent, create, publish, subscription, take, topic

TOPICS = ("clicks", "dead", "again")

GOOD = 40
SCHEMA = [{"name": "n", "type": "INTEGER", "mode": "REQUIRED"}]


@pytest.fixture(autouse=True)
def server(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Server | None]:
    """Run a BigQuery for the tests of tables."""
    if "table" not in request.node.name:
        yield None
        return
    with Server(project="test-project") as running:
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", running.rest_endpoint)
        monkeypatch.setenv("BIGQUERY_STORAGE_EMULATOR_HOST", running.grpc_endpoint)
        open_bigquery(bigquery_endpoint(), "test-project").create_dataset("dead", retry=None)
        yield running
        session().close()


def malformed(number: int) -> Sent:
    """Return a message that no step can parse, each with other bytes, attributes and key."""
    kind = "odd" if number % 2 else "even"
    return Sent(b"\xff{%d" % number, {"kind": kind, "n": str(number)}, f"key-{number % 3}")


MALFORMED = [malformed(number) for number in range(30)]
WRONG = [Sent(b'{"n": "x"}', {"n": str(number)}) for number in range(5)]


def fail(tmp_path: Path, dead_letter: str) -> None:
    """Let the main job reject some messages."""
    schema = tmp_path / "schema.json"
    schema.write_text(json.dumps(SCHEMA))
    good = [Sent(b'{"n": %d}' % number, {}) for number in range(GOOD)]
    publish("clicks", [*good, *MALFORMED, *WRONG])
    argv = [
        f"--subscription={subscription('clicks')}",
        f"--schema={schema}",
        f"--output={tmp_path / 'lake'}",
        f"--dead_letter={dead_letter}",
    ]
    assert launch.status(pubsub_to_lake, argv) == 0
    assert len(rows(tmp_path / "lake")) == GOOD


def replay(tmp_path: Path, failures: str, *more: str, dead: str = "still_dead") -> int:
    """Run the replay to the topic ``again``."""
    argv = [
        f"--failures={failures}",
        f"--output_topic={topic('again')}",
        f"--dead_letter={tmp_path / dead}",
    ]
    return launch.status(deadletter_replay, [*argv, *more])


def rows(folder: Path) -> list[dict[str, Any]]:
    """Return what files hold."""
    files = sorted(str(path) for path in folder.rglob("*.parquet"))
    return ds.dataset(files, format="parquet").to_table().to_pylist() if files else []


def key(message: Sent) -> Any:
    """Sort by what differs."""
    return (message.data, sorted(message.attributes.items()))


PLACES = {"folder": "{tmp}/dead", "topic": topic("dead"), "table": "test-project:dead.letters"}


def place(name: str, tmp_path: Path) -> tuple[str, str]:
    """Return the flags by which dead letters are kept, and read again."""
    kept = PLACES[name].format(tmp=tmp_path)
    return kept, subscription("dead") if name == "topic" else kept


def same(found: list[Sent], wanted: list[Sent], replays: int = 1) -> None:
    """Compare whole messages, without their order."""
    count = {"headrace_replays": str(replays)}
    expected = [message._replace(attributes=message.attributes | count) for message in wanted]
    assert sorted(found, key=key) == sorted(expected, key=key)


@pytest.mark.parametrize("name", PLACES)
def test_messages_come_back_as_they_were(broker: Broker, tmp_path: Path, name: str) -> None:
    """Wherever they were kept: bytes, attributes and ordering key, and a counter more."""
    kept, read = place(name, tmp_path)
    fail(tmp_path, kept)
    assert replay(tmp_path, read) == 0
    same(take("again"), MALFORMED + WRONG)
    assert rows(tmp_path / "still_dead") == []


@pytest.mark.parametrize("name", ["folder", "topic"])
def test_replay_on_the_local_runner(broker: Broker, tmp_path: Path, name: str) -> None:
    """It ends when a folder is replayed; a subscription is read until it is stopped."""
    kept, read = place(name, tmp_path)
    fail(tmp_path, kept)
    local = ["--runner=local", f"--state_dir={tmp_path}/state"]
    ends = ["--max_seconds=4s", "--on_stop=drain"] if name == "topic" else []
    assert replay(tmp_path, read, "--error_kind=wrong_type", *local, *ends) == 0
    same(take("again"), WRONG)
    left = rows(tmp_path / "still_dead")
    assert sorted(row["data"] for row in left) == sorted(
        message.data for message in (MALFORMED if name == "topic" else [])
    )


@pytest.mark.parametrize("name", ["folder", "topic"])
def test_killed_replay_goes_on(broker: Broker, tmp_path: Path, name: str) -> None:
    """After a kill every message arrives, some twice, each as after one replay."""
    kept, read = place(name, tmp_path)
    fail(tmp_path, kept)
    local = ["--runner=local", f"--state_dir={tmp_path}/state"]
    argv = [
        f"--failures={read}", f"--output_topic={topic('again')}",
        f"--dead_letter={tmp_path / 'still_dead'}", *local,
    ]  # fmt: skip
    found: list[Sent] = []

    def arrived(count: int) -> bool:
        found.extend(take("again"))
        return len({str(key(each)) for each in found}) >= count

    log = tmp_path / "log"
    process = start_pipeline(
        "pipelines.deadletter_replay", broker.address, [*argv, "--rate=10"], log
    )
    wait_until(lambda: arrived(5), 60)
    process.kill()
    process.wait()
    ends = ["--max_seconds=4s"] if name == "topic" else []
    wait_until(lambda: replay(tmp_path, read, *local, *ends) == 0 and arrived(35), 90)
    once = {str(key(each)): each for each in found}
    same(list(once.values()), MALFORMED + WRONG)
    assert rows(tmp_path / "still_dead") == []


@pytest.mark.parametrize("name", PLACES)
def test_only_what_is_meant_is_replayed(broker: Broker, tmp_path: Path, name: str) -> None:
    """A filter leaves the others where they are; from a subscription they are kept elsewhere."""
    kept, read = place(name, tmp_path)
    fail(tmp_path, kept)
    assert replay(tmp_path, read, "--error_kind=wrong_type", "--step=Parse") == 0
    same(take("again"), WRONG)
    left = rows(tmp_path / "still_dead")
    assert len(left) == (len(MALFORMED) if name == "topic" else 0)
    assert {row["pipeline"] for row in left} <= {"pubsub_to_lake"}
    if name == "topic":
        assert replay(tmp_path, str(tmp_path / "still_dead"), dead="dead2") == 0
        same(take("again"), MALFORMED)


@pytest.mark.parametrize("name", PLACES)
def test_dry_run_shows_and_does_nothing(
    broker: Broker, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Counts by step and kind with samples; nothing is published, acknowledged or written."""
    kept, read = place(name, tmp_path)
    fail(tmp_path, kept)
    capsys.readouterr()
    for _ in range(2):
        assert replay(tmp_path, read, "--dry_run", "--error_kind=wrong_type") == 0
        shown = capsys.readouterr().out
        assert re.search(r"^ +5  to replay  Parse: wrong_type$", shown, re.M), shown
        assert re.search(r"^ +30  not meant  Parse: invalid_utf8$", shown, re.M), shown
        assert '\'{"n": "x"}\'' in shown
        assert shown.splitlines()[-1] == "       35  read = 30 not meant + 5 to replay"
    assert take("again") == []
    assert not (tmp_path / "still_dead").exists()
    assert replay(tmp_path, read) == 0
    same(take("again"), MALFORMED + WRONG)


def test_misspelt_filter_moves_nothing(
    broker: Broker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A subscription of which nothing is meant stays as it is; the right name takes it up."""
    fail(tmp_path, topic("dead"))
    capsys.readouterr()
    assert replay(tmp_path, subscription("dead"), "--step=Pars") == 1
    error = capsys.readouterr().err
    assert "error: nothing is left: --step=Pars leaves out all 35 that were read" in error
    assert "Nothing was published, moved or acknowledged" in error
    assert take("again") == []
    assert rows(tmp_path / "still_dead") == []
    assert replay(tmp_path, subscription("dead"), "--step=Parse") == 0
    same(take("again"), MALFORMED + WRONG)
    assert replay(tmp_path, subscription("dead"), "--step=Pars") == 0  # there is nothing left


def test_what_keeps_failing_is_not_replayed_for_ever(broker: Broker, tmp_path: Path) -> None:
    """A message that comes back with its counter is held back at the limit, and kept whole."""
    fail(tmp_path, topic("dead"))
    again = [f"--output_topic={topic('clicks')}", "--max_replays=2", "--step=Parse"]
    for replays in (1, 2):
        assert replay(tmp_path, subscription("dead"), *again) == 0
        argv = [
            f"--subscription={subscription('clicks')}",
            f"--schema={tmp_path / 'schema.json'}",
            f"--output={tmp_path / 'lake'}",
            f"--dead_letter={topic('dead')}",
        ]
        assert rows(tmp_path / "still_dead") == []
        assert launch.status(pubsub_to_lake, argv) == 0, replays
    assert replay(tmp_path, subscription("dead"), *again) == 0
    assert take("clicks") == []
    held = rows(tmp_path / "still_dead")
    found = [Sent(row["data"], dict(row["attributes"]), row["ordering_key"]) for row in held]
    same(found, MALFORMED + WRONG, 2)
    # Whoever wants it all the same can have it.
    assert replay(tmp_path, str(tmp_path / "still_dead"), "--max_replays=3", dead="dead3") == 0
    same(take("again"), MALFORMED + WRONG, 3)


def test_rate_is_kept(broker: Broker, tmp_path: Path) -> None:
    """35 messages at 20 a second take 1.7 seconds, and all of them arrive."""
    fail(tmp_path, str(tmp_path / "dead"))
    began = time.monotonic()
    assert replay(tmp_path, str(tmp_path / "dead"), "--rate=20") == 0
    assert time.monotonic() - began >= 34 / 20
    same(take("again"), MALFORMED + WRONG)


def test_time_limits_what_is_replayed(broker: Broker, tmp_path: Path) -> None:
    """The time of the failure decides, not that of the message."""
    fail(tmp_path, str(tmp_path / "dead"))
    failed_at = [row["failed_at"] for row in rows(tmp_path / "dead")]
    after, before = max(failed_at).isoformat(), min(failed_at).isoformat()
    assert replay(tmp_path, str(tmp_path / "dead"), f"--until={before}") == 0
    assert take("again") == []
    assert replay(tmp_path, str(tmp_path / "dead"), f"--since={before}") == 0
    same(take("again"), MALFORMED + WRONG)
    assert after >= before


def test_routed_replay_keeps_what_has_no_topic(broker: Broker, tmp_path: Path) -> None:
    """A rule sends each message to its topic; one without is dead once more, with that reason."""
    fail(tmp_path, str(tmp_path / "dead"))
    create("even", "odd")
    route = "projects/demo/topics/{attribute:kind}"
    assert replay(tmp_path, str(tmp_path / "dead"), f"--output_topic={route}") == 0
    same(take("even"), MALFORMED[::2])
    same(take("odd"), MALFORMED[1::2])
    again = rows(tmp_path / "still_dead")
    assert [row["data"] for row in again] == [message.data for message in WRONG]
    assert {(row["pipeline"], row["error_kind"]) for row in again} == {
        ("deadletter_replay", "no_topic")
    }


def test_stranger_on_the_topic_is_kept(broker: Broker, tmp_path: Path) -> None:
    """A message that is no dead letter is neither published nor lost."""
    fail(tmp_path, topic("dead"))
    publish("dead", [Sent(b"hello", {"who": "me"})])
    assert replay(tmp_path, subscription("dead")) == 0
    same(take("again"), MALFORMED + WRONG)
    (dead,) = rows(tmp_path / "still_dead")
    assert (dead["data"], dead["error_kind"]) == (b"hello", "not_a_dead_letter")


@pytest.mark.parametrize("method", ["CreateReadSession", "ReadRows"])
def test_table_that_may_not_be_read_is_named(
    broker: Broker, server: Server, tmp_path: Path, method: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """With the roles that are missing; nothing is published, and it works when they are granted."""
    kept, read = place("table", tmp_path)
    fail(tmp_path, kept)
    server.faults.add(Fault("PERMISSION_DENIED", method=method, times=99, text="not you"))
    assert replay(tmp_path, read) == 2
    text = capsys.readouterr().err
    assert "'test-project.dead.letters': access is denied" in text
    assert "roles/bigquery.dataViewer and roles/bigquery.readSessionUser" in text
    assert take("again") == []
    server.faults.clear()
    assert replay(tmp_path, read) == 0
    same(take("again"), MALFORMED + WRONG)


def test_table_of_something_else_is_refused(
    broker: Broker, server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything starts: the error names the columns that are missing."""
    from google.cloud.bigquery import SchemaField, Table  # noqa: PLC0415 - a second of imports

    client = open_bigquery(bigquery_endpoint(), "test-project")
    client.create_table(Table("test-project.dead.other", [SchemaField("data", "BYTES")]))
    assert replay(tmp_path, "test-project.dead.other") == 2
    text = capsys.readouterr().err
    assert text.startswith("error: --failures='test-project.dead.other': holds no dead letters")
    assert "lacks schema_version, pipeline, step" in text
    assert replay(tmp_path, "test-project.dead.gone") == 2
    assert "--failures='test-project.dead.gone': does not exist" in capsys.readouterr().err


BAD_FLAGS = {
    "topic to read": (["--failures=" + topic("dead")], ["--failures=", "subscription of it"]),
    "no such folder": (["--failures=./nowhere"], ["--failures='./nowhere'", "no file of dead"]),
    "same folder": (["--dead_letter=./dead", "--failures=./dead/x"], ["--dead_letter", "lies in"]),
    "loop": (
        ["--failures=" + subscription("dead"), "--dead_letter=" + topic("dead")],
        ["--dead_letter=", "read for ever"],
    ),
    "no time": (["--since=yesterday"], ["--since='yesterday'", "2026-01-31T09:30:00Z"]),
    "no offset": (["--since=2026-01-31T09:30:00"], ["--since=", "offset from UTC"]),
    "empty span": (["--since=2026-02-01", "--until=2026-02-01"], ["--until=", "not after --since"]),
    "no rate": (["--rate=0"], ["--rate='0'", "above 0"]),
    "no count": (["--max_replays=0"], ["--max_replays='0'"]),
    "half a route": (["--output_topic=projects/p/topics/{kind"], ["--output_topic=", "braces"]),
    "no topic": (["--output_topic=again"], ["--output_topic='again'", "projects/"]),
    "missing topic": (["--output_topic=" + topic("none")], ["does not exist", "create_topic"]),
    "no switch": (["--dry_run=maybe"], ["--dry_run='maybe'", "true or false"]),
    "endless dry run": (["--dry_run", "--runner=local", "--state_dir=./s"], ["--dry_run"]),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_FLAGS)
def test_bad_flag_is_refused(
    broker: Broker, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The error names flag, value, rule and fix, and nothing was started."""
    monkeypatch.chdir(tmp_path)
    flags, words = BAD_FLAGS[name]
    assert replay(tmp_path, subscription("dead"), *flags) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert all(word in error for word in words), error
    assert take("again") == []


def test_messages_tell_their_first_id(broker: Broker, tmp_path: Path) -> None:
    """Whoever reads them can tell one that is published twice."""
    fail(tmp_path, str(tmp_path / "dead"))
    ids = sorted(row["message_id"] for row in rows(tmp_path / "dead"))
    for _ in range(2):
        assert replay(tmp_path, str(tmp_path / "dead"), "--id_attribute=was") == 0
    found = sorted(message.attributes["was"] for message in take("again"))
    assert found == sorted(ids * 2)
