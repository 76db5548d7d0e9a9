"""Pub/Sub to objects with its real command line, against a real broker in this process."""

from __future__ import annotations

import gzip
import json
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds
import pytest

from connectors import storage
from connectors.broker import Broker
from connectors.ledger import Ledger
from connectors.objects import store_of
from pipelines import launch, pubsub_to_storage
from tests.topics import publish_payloads

TOPICS = ("clicks",)
publish = partial(publish_payloads, *TOPICS)

SUBSCRIPTION = "projects/demo/subscriptions/clicks"
SCHEMA = [
    {"name": "id", "type": "STRING", "mode": "REQUIRED"},
    {"name": "at", "type": "TIMESTAMP", "mode": "REQUIRED"},
]


@pytest.fixture(params=["disk", "gs"])
def output(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A folder on disk, then one on Cloud Storage."""
    if request.param == "disk":
        return str(tmp_path / "out")
    return f"{request.getfixturevalue('bucket')}/out"


@pytest.fixture
def schema(tmp_path: Path) -> str:
    path = tmp_path / "clicks.json"
    path.write_text(json.dumps(SCHEMA))
    return str(path)


def click(number: int) -> bytes:
    at = f"2026-01-01T{number % 2:02d}:00:00Z"
    return json.dumps({"id": f"e{number}", "at": at}).encode()


def run(output: str, dead: Path, *more: str) -> int:
    flags = [f"--subscription={SUBSCRIPTION}", f"--output={output}", f"--dead_letter={dead}"]
    return launch.status(pubsub_to_storage, [*flags, *more])


def names(root: str) -> list[str]:
    found = [file.name for file in store_of(root).walk(root)]
    return sorted(name for name in found if not name.startswith("_lake-"))


def json_rows(root: str) -> list[dict[str, Any]]:
    contents = [store_of(root).read(f"{root}/{name}") for name in names(root)]
    return [json.loads(line) for data in contents for line in gzip.decompress(data).splitlines()]


@pytest.mark.parametrize("form", ["avro", "jsonl", "parquet"])
def test_an_archive_holds_every_message(
    broker: Broker, output: str, tmp_path: Path, form: str
) -> None:
    """Byte for byte with attributes; what the broker gave is there too."""
    payloads = [bytes(range(256)), b"", b"{", *map(click, range(50))]
    published = publish(payloads)
    assert run(output, tmp_path / "dead", f"--format={form}", "--folders=dt=%Y-%m-%d") == 0
    rows = [row for batch in storage.read_archive(output) for row in batch.to_pylist()]
    assert sorted(row["data"] for row in rows) == sorted(payloads)
    by_data = {row["data"]: row for row in rows}
    for row in published.to_pylist():
        assert by_data[row["data"]]["attributes"] == row["attributes"]
    assert len({row["message_id"] for row in rows}) == len(payloads)
    assert all(row["publish_time"] is not None for row in rows)
    assert all(name.startswith("dt=20") for name in names(output))
    (commit,) = Ledger(output).commits()
    assert commit.acknowledged
    assert run(output, tmp_path / "dead", f"--format={form}") == 0
    assert sum(map(len, storage.read_archive(output))) == len(payloads)


def test_rows_are_typed_and_the_rest_is_a_dead_letter(
    broker: Broker, output: str, tmp_path: Path, schema: str
) -> None:
    """Published = written + duplicates + dead, in folders by event time."""
    publish([*map(click, range(40)), *map(click, range(10)), b"{"])
    more = [f"--schema={schema}", "--event_time=at", "--dedup_by=id", "--format=jsonl"]
    assert run(output, tmp_path / "dead", *more, "--folders=%Y/%m/%d/%H") == 0
    rows = json_rows(output)
    assert sorted(row["id"] for row in rows) == sorted(f"e{number}" for number in range(40))
    assert {row["at"] for row in rows} == {f"2026-01-01T0{n}:00:00.000000Z" for n in (0, 1)}
    folders = {name.rpartition("/")[0] for name in names(output)}
    assert folders == {"2026/01/01/00", "2026/01/01/01"}
    (commit,) = Ledger(output).commits()
    assert commit.counts["rows_written"] == 40
    assert commit.counts["duplicates"] == 10
    assert commit.counts["dead_letters"] == 1
    dead = [str(path) for path in (tmp_path / "dead").rglob("*.parquet")]
    assert ds.dataset(dead).to_table()["data"].to_pylist() == [b"{"]


def test_without_end_objects_appear_with_the_windows(
    broker: Broker, output: str, tmp_path: Path, schema: str
) -> None:
    """The local runner, drained after a while: each row once, again over a second start."""
    more = [
        f"--schema={schema}", "--event_time=at", "--dedup_by=id", "--format=jsonl",
        "--folders=%H", "--runner=local", f"--state_dir={tmp_path / 'state'}", "--max_seconds=3s",
    ]  # fmt: skip
    publish([*map(click, range(40))])
    assert run(output, tmp_path / "dead", *more, "--on_stop=suspend") == 0
    publish([*map(click, range(20, 60))])
    assert run(output, tmp_path / "dead", *more, "--on_stop=drain") == 0
    assert sorted(row["id"] for row in json_rows(output)) == sorted(f"e{n}" for n in range(60))
    assert {name[:3] for name in names(output)} == {"00/", "01/"}


@pytest.mark.parametrize(
    ("flag", "texts"),
    [
        ("--format=csv", ["--format='csv'", "jsonl, avro, parquet"]),
        ("--format=avro:zip", ["--format='avro:zip'", "deflate"]),
        ("--folders=%Y/%Q", ["--folders='%Y/%Q'", "unknown part %Q"]),
        ("--output=s3://b/x", ["--output='s3://b/x'", "gs://"]),
        ("--event_time=at", ["--event_time=", "without --schema"]),
    ],
)
def test_bad_flags_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], flag: str, texts: list[str]
) -> None:
    """Before anything is started, with flag, value, rule and fix."""
    assert run(str(tmp_path / "out"), tmp_path / "dead", flag) == 2
    said = capsys.readouterr().err
    assert all(text in said for text in texts), said


def test_a_bucket_that_is_missing_stops_the_start(
    broker: Broker, bucket: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is read, and the error says how to make it."""
    publish([click(1)])
    assert run("gs://no-such-bucket/out", tmp_path / "dead") == 2
    assert "buckets create gs://no-such-bucket" in capsys.readouterr().err
    assert run(f"{bucket}/out", tmp_path / "dead") == 0
    assert sum(map(len, storage.read_archive(f"{bucket}/out"))) == 1
