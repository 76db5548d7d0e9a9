"""Archive and replay with their real command lines: what comes back is what was sent."""

import time
from pathlib import Path

import pytest

from connectors import storage
from connectors.broker import Broker
from pipelines import archive_replay, launch, pubsub_to_storage
from tests.processes import start_pipeline, wait_until
from tests.topics import Sent, publish, subscription, take, topic

TOPICS = ("events", "again", "again-a", "again-b")


def message(number: int) -> Sent:
    """Return a message that is like no other, in bytes that are no text."""
    kind = "ab"[number % 2]
    return Sent(b"\x00\xff%d" % number, {"n": str(number), "kind": kind}, f"key{number % 3}")


MESSAGES = [message(number) for number in range(600)]


def archive(tmp_path: Path, *more: str) -> str:
    """Archive all that waits; return the folder."""
    argv = [
        f"--subscription={subscription('events')}",
        f"--output={tmp_path / 'archive'}",
        f"--dead_letter={tmp_path / 'dead'}",
        "--window=1s",
    ]
    assert launch.status(pubsub_to_storage, [*argv, *more]) == 0
    return str(tmp_path / "archive")


def argv(tmp_path: Path, output: str = topic("again")) -> list[str]:
    """Return the command line that is common to all tests."""
    return [
        f"--archive={tmp_path / 'archive'}",
        f"--output_topic={output}",
        f"--dead_letter={tmp_path / 'dead2'}",
    ]


def replay(tmp_path: Path, *more: str) -> int:
    """Run the replay in this process."""
    return launch.status(archive_replay, [*argv(tmp_path), *more])


def numbers(messages: list[Sent]) -> list[int]:
    """Return which messages these are."""
    return [int(each.attributes["n"]) for each in messages]


@pytest.mark.parametrize("form", ["avro", "jsonl", "parquet"])
def test_archive_comes_back_whole_and_in_order(broker: Broker, tmp_path: Path, form: str) -> None:
    """Bytes, attributes and ordering keys, in the order within each key, from several runs."""
    for first in (0, 200, 400):
        publish("events", MESSAGES[first : first + 200])
        archive(tmp_path, f"--format={form}")
    assert replay(tmp_path) == 0
    found = take("again")
    assert sorted(found, key=lambda each: int(each.attributes["n"])) == MESSAGES
    for key in ("key0", "key1", "key2"):
        of_key = numbers([each for each in found if each.ordering_key == key])
        assert of_key == sorted(of_key)


def test_pace_is_the_original_one_times_the_speed(broker: Broker, tmp_path: Path) -> None:
    """Two seconds between the first and the last message are half a second at four times."""
    began = time.monotonic()
    for number in range(5):
        publish("events", [message(number)])
        wait_until(lambda number=number: time.monotonic() - began >= 0.5 * (number + 1), 5)  # type: ignore[misc]
    archive(tmp_path)
    times = [
        row["publish_time"]
        for batch in storage.read_archive(str(tmp_path / "archive"))
        for row in batch.to_pylist()
    ]
    span_s = (max(times) - min(times)).total_seconds()
    began = time.monotonic()
    assert replay(tmp_path, "--speed=4") == 0
    took_s = time.monotonic() - began
    assert numbers(take("again")) == [0, 1, 2, 3, 4]
    assert took_s >= span_s / 4


def test_rate_is_kept(broker: Broker, tmp_path: Path) -> None:
    """So many a second, whatever the times were."""
    publish("events", MESSAGES[:60])
    archive(tmp_path)
    began = time.monotonic()
    assert replay(tmp_path, "--rate=50") == 0
    assert time.monotonic() - began >= 55 / 50
    assert sorted(numbers(take("again"))) == list(range(60))


def test_time_and_condition_say_what_is_meant(broker: Broker, tmp_path: Path) -> None:
    """What is not meant is not published."""
    publish("events", MESSAGES[:10])
    archive(tmp_path)
    publish("events", MESSAGES[10:20])
    archive(tmp_path)
    rows = [r for b in storage.read_archive(str(tmp_path / "archive")) for r in b.to_pylist()]
    later = [row for row in rows if int(dict(row["attributes"])["n"]) >= 10]
    cut = min(row["publish_time"] for row in later)  # each ordering key is a request of its own
    assert replay(tmp_path, f"--since={cut.isoformat()}") == 0
    assert sorted(numbers(take("again"))) == list(range(10, 20))
    where = "--where=attribute:kind = 'b'"
    assert replay(tmp_path, f"--until={cut.isoformat()}", where) == 0
    assert sorted(numbers(take("again"))) == [1, 3, 5, 7, 9]
    assert replay(tmp_path, "--since=2100-01-01") == 0
    assert take("again") == []


def test_replay_is_routed_and_tells_ids(broker: Broker, tmp_path: Path) -> None:
    """Each message to the topic that it names, with the id that it once had."""
    publish("events", MESSAGES[:40])
    archive(tmp_path)
    route = "--output_topic=projects/demo/topics/again-{attribute:kind}"
    assert replay(tmp_path, route, "--id_attribute=was") == 0
    even, odd = take("again-a"), take("again-b")
    assert sorted(numbers(even)) == list(range(0, 40, 2))
    assert sorted(numbers(odd)) == list(range(1, 40, 2))
    assert len({each.attributes["was"] for each in even + odd}) == 40


def test_killed_replay_goes_on(broker: Broker, tmp_path: Path) -> None:
    """On the local runner nothing is lost by a kill; what is repeated can be told by its id."""
    publish("events", MESSAGES)
    archive(tmp_path)
    local = ["--runner=local", f"--state_dir={tmp_path}/state", "--id_attribute=was"]
    found: list[Sent] = []

    def some() -> bool:
        found.extend(take("again"))
        return len(found) >= 100

    process = start_pipeline(
        "pipelines.archive_replay", broker.address, [*argv(tmp_path), *local, "--rate=200"],
        tmp_path / "log",
    )  # fmt: skip
    wait_until(some, 60)
    process.kill()
    process.wait()
    assert replay(tmp_path, *local) == 0
    found += take("again")
    once = {each.attributes["was"]: each for each in found}
    assert sorted(numbers(list(once.values()))) == list(range(600))


BAD_FLAGS = {
    "two paces": (["--speed=1", "--rate=5"], ["--speed or --rate", "at most one"]),
    "no archive": (["--archive=./nowhere"], ["--archive='./nowhere'", "no file"]),
    "span": (["--since=2026-01-02", "--until=2026-01-01"], ["--until=", "not after"]),
    "column": (["--where=n = 1"], ["--where='n = 1'"]),
    "same folder": (["--dead_letter=./x", "--archive=./x"], ["--dead_letter='./x'", "--archive"]),
    "speed": (["--speed=-1"], ["--speed='-1'", "above 0"]),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_FLAGS)
def test_bad_flag_is_refused(
    broker: Broker, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The error names flag, value, rule and fix, and nothing is published."""
    publish("events", MESSAGES[:1])
    archive(tmp_path)
    more, words = BAD_FLAGS[name]
    assert replay(tmp_path, *more) == 2
    error = capsys.readouterr().err
    assert all(word in error for word in words), error
    assert take("again") == []
