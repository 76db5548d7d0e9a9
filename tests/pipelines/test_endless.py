"""The main job without end, on the local runner, with its real command line and a real broker."""

import dataclasses
import json
import re
import signal
import subprocess
import threading
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import apache_beam as beam
import pyarrow.dataset as ds
import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from connectors import pubsub
from connectors.broker import Broker
from pipelines import kinds, launch, pubsub_to_lake
from pipelines.endless import is_local
from pipelines.interrupt import Interrupted, Stopping
from pipelines.params import param
from runners.local.options import settings
from runners.local.store import Store
from tests.processes import start_pipeline, wait_until
from tests.topics import publish_payloads
from transforms.batch import Batch

TOPICS = ("clicks",)
publish = partial(publish_payloads, *TOPICS)

SUBSCRIPTION = "projects/demo/subscriptions/clicks"
SCHEMA = [
    {"name": "id", "type": "STRING", "mode": "REQUIRED"},
    {"name": "at", "type": "TIMESTAMP", "mode": "REQUIRED"},
]


def click(number: int) -> bytes:
    """Return an event; sixty of them make an hour."""
    at = f"2026-01-01T{number // 60:02d}:{number % 60:02d}:00Z"
    return json.dumps({"id": f"e{number:04d}", "at": at}).encode()


@pytest.fixture
def argv(tmp_path: Path) -> list[str]:
    schema = tmp_path / "clicks.json"
    schema.write_text(json.dumps(SCHEMA))
    return [
        "--runner=local",
        f"--state_dir={tmp_path / 'state'}",
        f"--subscription={SUBSCRIPTION}",
        f"--schema={schema}",
        f"--output={tmp_path / 'lake'}",
        f"--dead_letter={tmp_path / 'dead'}",
        "--event_time=at",
        "--dedup_by=id",
        "--window=1h",
    ]


def run(argv: Sequence[str], *more: str) -> int:
    return launch.status(pubsub_to_lake, [*argv, *more])


def rows(folder: Path) -> list[dict[str, Any]]:
    files = sorted(str(path) for path in folder.rglob("*.parquet"))
    return ds.dataset(files, format="parquet").to_table().to_pylist() if files else []


def ids(folder: Path) -> list[str]:
    return sorted(row["id"] for row in rows(folder / "lake"))


def wanted(count: int) -> list[str]:
    return [f"e{number:04d}" for number in range(count)]


@pytest.mark.parametrize("name", ["local", "LOCAL", "LocalRunner", "runners.local.LocalRunner"])
def test_names_of_the_local_runner(name: str) -> None:
    """The local runner is meant by a short name, by its class, and by its place, in any case."""
    assert is_local(name)


@pytest.mark.parametrize("name", [None, "", "DirectRunner", "locale", "LocalJobRunner"])
def test_other_runners_are_not_the_local_one(name: str | None) -> None:
    """No other name, and none at all, means the local runner."""
    assert not is_local(name)


def test_windows_appear_and_drain_writes_the_rest(
    broker: Broker, argv: list[str], tmp_path: Path
) -> None:
    """What is in open windows when the job drains is written, each row once, with nothing lost."""
    publish([*map(click, range(200)), *map(click, range(50)), b"{"])
    assert run(argv, "--on_stop=drain", "--max_seconds=4s") == 0
    assert ids(tmp_path) == wanted(200)
    assert [row["data"] for row in rows(tmp_path / "dead")] == [b"{"]


def test_suspended_job_goes_on(broker: Broker, argv: list[str], tmp_path: Path) -> None:
    """A second start closes the windows of the first, and knows what it has seen."""
    publish(list(map(click, range(150))))
    assert run(argv, "--max_seconds=4s") == 0
    first = ids(tmp_path)
    assert first == wanted(120)  # the third hour has not passed
    publish([*map(click, range(100)), *map(click, range(150, 200))])
    assert run(argv, "--max_seconds=4s", "--on_stop=drain") == 0
    assert ids(tmp_path) == wanted(200)


def test_job_goes_on_with_other_parameters_if_it_can(
    broker: Broker,
    argv: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What would give a wrong answer is refused, what changes the files is told, each row once."""
    publish(list(map(click, range(10))))
    assert run(argv, "--max_seconds=3s") == 0
    schema = tmp_path / "texts.json"
    schema.write_text(json.dumps([*SCHEMA[:1], SCHEMA[1] | {"type": "STRING"}]))
    for flag, value in (
        ("event_time", "message:publish_time"),
        ("shards", "2"),
        ("trigger", "early:1m"),
    ):
        assert run(argv, f"--{flag}={value}") == 2
        assert f"error: --{flag}='{value}': was '" in capsys.readouterr().err
    assert run(argv, f"--schema={schema}", "--event_time=attribute:at") == 2
    assert "error: --schema='at: string': was 'at: timestamp[us, tz=UTC]'" in (
        capsys.readouterr().err
    )
    publish(list(map(click, range(5, 30))))
    assert run(argv, "--window=10m", "--max_seconds=3s", "--on_stop=drain") == 0
    assert "--window was '1h' and is '10m': windows that are open stay as they are" in caplog.text
    assert ids(tmp_path) == wanted(30)
    names = sorted(path.name for path in (tmp_path / "lake").glob("*.parquet"))
    assert [name[:15] for name in names] == [
        "20260101T000000",
        "20260101T001000",
        "20260101T002000",
    ]
    assert names[0].startswith("20260101T000000_20260101T010000")


def test_drained_job_begins_anew(broker: Broker, argv: list[str], tmp_path: Path) -> None:
    """After a drain nothing is remembered, and what was written stays as it is."""
    for _ in range(2):
        publish(list(map(click, range(10))))
        assert run(argv, "--max_seconds=3s", "--on_stop=drain") == 0
    assert ids(tmp_path) == sorted(wanted(10) * 2)


def start(argv: Sequence[str], broker: Broker, log: Path) -> subprocess.Popen[str]:
    return start_pipeline("pipelines.pubsub_to_lake", broker.address, argv, log)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_suspends_in_order(
    broker: Broker, argv: list[str], tmp_path: Path, number: int
) -> None:
    """A signal ends the process with 0, and the log says how to go on; nothing was lost."""
    publish(list(map(click, range(90))))
    log = tmp_path / "log"
    process = start(argv, broker, log)
    wait_until(lambda: len(ids(tmp_path)) >= 60, 60)
    process.send_signal(number)
    assert process.wait(30) == 0, log.read_text()
    text = log.read_text()
    assert "job pubsub_to_lake begins" in text
    assert f"{signal.Signals(number).name}: open windows are kept in the state" in text
    assert f"goes on (--job_name=pubsub_to_lake --state_dir={tmp_path / 'state'})" in text
    assert run(argv, "--max_seconds=3s", "--on_stop=drain") == 0
    assert ids(tmp_path) == wanted(90)


def test_signal_leaves_no_job_behind(
    broker: Broker, argv: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that comes when the job has just begun ends it before the process ends."""

    def interrupted(*_: object) -> None:
        raise Interrupted(signal.SIGTERM)

    monkeypatch.setattr(Stopping, "by", interrupted)
    publish([click(0)])
    assert run(argv) == 128 + signal.SIGTERM
    assert not [each for each in threading.enumerate() if each.name.startswith("job-")]


def test_killed_job_goes_on(broker: Broker, argv: list[str], tmp_path: Path) -> None:
    """After ``kill -9`` in the middle nothing is lost and nothing is repeated."""
    log = tmp_path / "log"
    for first in range(0, 300, 100):
        publish(list(map(click, range(first, first + 100))))
        process = start([*argv, "--log_every=20ms"], broker, log)
        wait_until(lambda first=first: len(ids(tmp_path)) >= first + 20, 60)  # type: ignore[misc]
        process.kill()
        process.wait()
    assert log.read_text().count("goes on where it stopped") == 2
    assert run(argv, "--max_seconds=3s", "--on_stop=drain") == 0
    assert ids(tmp_path) == wanted(300)
    for pattern in (r"([\d,]+) read", r"epoch ([\d,]+)"):
        shown = [int(text.replace(",", "")) for text in re.findall(pattern, log.read_text())]
        assert shown == sorted(shown), "what is shown was committed: it never goes back"


def test_state_folder_is_required(
    broker: Broker, argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a state folder a stop would lose what windows hold; so nothing is started."""
    assert run([flag for flag in argv if not flag.startswith("--state_dir")]) == 2
    assert "error: --state_dir: is required" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flag", "says"),
    [
        ("--workers=0", "error: --workers='0': must be a whole number"),
        ("--on_stop=no", "error: --on_stop='no': must be suspend or drain"),
        ("--job_name=a/b", "error: --job_name='a/b': must be"),
        ("--max_messages=5", "error: --max_messages=5: ends a run that commits as a whole"),
        ("--log_every=often", "error: --log_every='often': must be a whole number and a unit"),
        ("--state_dirr=x", "Did you mean --state_dir?"),
    ],
)
def test_bad_option_is_refused(
    broker: Broker, argv: list[str], capsys: pytest.CaptureFixture[str], flag: str, says: str
) -> None:
    """Each option that can't be used is named with its rule, and nothing is started."""
    assert run(argv, flag) == 2
    assert says in capsys.readouterr().err


def test_folder_in_use_is_refused(
    broker: Broker, argv: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A second process on the same state is refused, and the first one is not disturbed."""
    chosen = settings(
        PipelineOptions([f"--state_dir={tmp_path}/state", "--job_name=pubsub_to_lake"])
    )
    assert chosen.folder is not None
    store = Store.open(chosen.folder)
    try:
        assert run(argv) == 2
    finally:
        store.close()
    error = capsys.readouterr().err
    assert f"error: --state_dir='{chosen.folder}'" in error
    assert "works in this state folder" in error


def test_other_graph_is_refused(
    broker: Broker, argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """A state whose windows would mean something else is refused, by the flag."""
    publish(list(map(click, range(10))))
    assert run(argv, "--max_seconds=3s") == 0
    assert run(argv, "--window=session:10m", "--max_seconds=3s") == 2
    error = capsys.readouterr().err
    assert "error: --window='session:10m': was '1h' when this job began" in error


def test_suspended_job_may_have_another_name(
    broker: Broker, argv: list[str], tmp_path: Path
) -> None:
    """Two jobs share a state folder under two names."""
    publish(list(map(click, range(10))))
    assert run(argv, "--max_seconds=3s", "--job_name=one") == 0
    assert run(argv, "--max_seconds=3s", "--job_name=two") == 0
    assert {path.name for path in (tmp_path / "state").iterdir()} == {"one", "two"}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Params:
    subscription: str = param(kinds.SUBSCRIPTION, "Subscription to read.")


def choke(batch: Batch) -> Batch:
    raise ValueError("no such carrier")


def build_poisoned(pipeline: beam.Pipeline, params: Params) -> None:
    messages = pipeline | "Read" >> pubsub.Read(subscription=params.subscription)
    messages | "Choke" >> beam.Map(choke)


def test_poisonous_message_is_named_and_kept(
    broker: Broker,
    argv: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The step, the message and the traceback are shown; the message comes again afterwards."""
    publish([click(1)])
    module: Any = SimpleNamespace(__name__="tests.poisoned", Params=Params, build=build_poisoned)
    flags = [*argv[:3], "--max_attempts=2"]
    assert launch.status(module, flags) == 1
    error = capsys.readouterr().err
    assert "error: step Choke failed at Batch(1 row of message '" in error
    assert error.rstrip().endswith("ValueError: no such carrier")
    assert 'raise ValueError("no such carrier")' in caplog.text
    assert run(argv, "--max_seconds=3s", "--on_stop=drain") == 0
    assert ids(tmp_path) == ["e0001"]


def test_missing_subscription_is_named(
    broker: Broker, argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """What can't be used is refused before the job begins."""
    assert run(argv, "--subscription=projects/demo/subscriptions/nobody") == 2
    assert "projects/demo/subscriptions/nobody" in capsys.readouterr().err
