"""The event bus with its real command line, between topics of a real broker."""

import dataclasses
import json
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import apache_beam as beam
import pyarrow.dataset as ds
import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from connectors.broker import Broker
from pipelines import launch, pubsub_to_pubsub
from pipelines.params import parse_flags
from tests.processes import free_port, start_pipeline, wait_until
from tests.topics import Sent, create, publish, subscription, take, topic
from transforms.errors import ConfigError

TOPICS = ("events", "out", "out-a", "out-b")

ROUTE = "projects/demo/topics/out-{attribute:kind}"


@pytest.fixture(params=["direct", "local"])
def runner(request: pytest.FixtureRequest, tmp_path: Path) -> list[str]:
    """Return the flags of a runner that reads all there is and ends."""
    if request.param == "direct":
        return []
    ends = ["--max_seconds=3s", "--on_stop=drain"]
    return ["--runner=local", f"--state_dir={tmp_path}/state", *ends]


def flags(tmp_path: Path, output: str = ROUTE) -> list[str]:
    """Return the command line that is common to all tests."""
    return [
        f"--subscription={subscription('events')}",
        f"--output_topic={output}",
        f"--dead_letter={tmp_path / 'dead'}",
    ]


def run(argv: list[str]) -> int:
    """Run the pipeline in this process."""
    return launch.status(pubsub_to_pubsub, argv)


def dead(tmp_path: Path) -> list[dict[str, Any]]:
    """Return the dead letters."""
    files = sorted(str(path) for path in (tmp_path / "dead").rglob("*.parquet"))
    return ds.dataset(files, format="parquet").to_table().to_pylist() if files else []


def message(number: int, kind: str | None = None) -> Sent:
    """Return a message that is like no other, in bytes that are no text."""
    attributes = {"n": str(number)} | ({} if kind is None else {"kind": kind})
    return Sent(b"\x00\xff%d" % number, attributes, f"k{number % 5}")


def of_kinds(count: int, *kinds: str | None) -> list[Sent]:
    """Return messages of these kinds in turn."""
    return [message(number, kinds[number % len(kinds)]) for number in range(count)]


def by_number(messages: list[Sent]) -> list[Sent]:
    """Return messages in the order in which they were made."""
    return sorted(messages, key=lambda sent: int(sent.attributes["n"]))


def test_each_message_is_published_filtered_or_dead(
    broker: Broker, tmp_path: Path, runner: list[str]
) -> None:
    """Whole, once, to its topic; the filter leaves out its own, and what has no topic is dead."""
    sent = of_kinds(400, "a", "b", None, "missing", "not a name")
    publish("events", sent)
    assert run([*flags(tmp_path), "--where=NOT attribute:n IN ('0', '1')", *runner]) == 0
    assert by_number(take("out-a")) == sent[5::5]
    assert by_number(take("out-b")) == sent[6::5]
    kinds = {row["data"]: row["error_kind"] for row in dead(tmp_path)}
    assert len(kinds) == len(dead(tmp_path))
    expected = {sent[n].data: "no_topic" for n in range(2, 400, 5)}
    expected |= {sent[n].data: "topic_missing" for n in range(3, 400, 5)}
    expected |= {sent[n].data: "bad_topic_name" for n in range(4, 400, 5)}
    assert kinds == expected
    assert take("events") == []


def test_order_within_a_key_is_kept(broker: Broker, tmp_path: Path) -> None:
    """Messages of an ordering key arrive as they were sent."""
    sent = of_kinds(2_000, "a")
    publish("events", sent)
    assert run([*flags(tmp_path, topic("out"))]) == 0
    found = take("out")
    for key in {message.ordering_key for message in sent}:
        of_key = [message for message in found if message.ordering_key == key]
        assert of_key == [message for message in sent if message.ordering_key == key]


def test_columns_filter_and_route(broker: Broker, tmp_path: Path, runner: list[str]) -> None:
    """With a schema the payload decides; its bytes go out as they came, blanks and all."""
    schema = tmp_path / "schema.json"
    columns = {"to": "STRING", "n": "INTEGER"}
    schema.write_text(json.dumps([{"name": k, "type": v} for k, v in columns.items()]))
    forms = (b'{"to": "b", "n": %d, "x": 1}', b' {"to" : "a",  "n": %d}', b'{"n":%d,"to":"a"}')
    sent = [Sent(forms[number % 3] % number, {}) for number in range(90)]
    publish("events", [*sent, Sent(b"{", {})])
    output = "projects/demo/topics/out-{to}"
    argv = [*flags(tmp_path, output), f"--schema={schema}", "--where=n >= 30 OR n IS NULL", *runner]
    assert run(argv) == 0
    assert sorted(take("out-a")) == sorted(row for n, row in enumerate(sent) if n % 3 and n >= 30)
    assert sorted(take("out-b")) == sorted(sent[30::3])
    assert [row["data"] for row in dead(tmp_path)] == [b"{"]


def test_id_of_the_source_travels(broker: Broker, tmp_path: Path) -> None:
    """By the id of the message that was read, one that is published twice can be told."""
    publish("events", [Sent(b"x", {"from": "forged", "n": "1"})])
    assert run([*flags(tmp_path, topic("out")), "--id_attribute=from"]) == 0
    (found,) = take("out")
    assert found.attributes.keys() == {"from", "n"}
    assert found.attributes["from"].isdecimal()


def test_missing_topic_stops_if_that_is_asked_for(
    broker: Broker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Then nothing is acknowledged, and nothing is a dead letter."""
    publish("events", of_kinds(10, "missing"))
    assert run([*flags(tmp_path), "--missing_topic=stop"]) == 2
    assert "topics/out-missing" in capsys.readouterr().err
    assert dead(tmp_path) == []
    create("out-missing")
    assert run([*flags(tmp_path), "--missing_topic=stop"]) == 0
    assert len(take("out-missing")) == 10


def test_dead_letters_may_go_to_a_topic(broker: Broker, tmp_path: Path, runner: list[str]) -> None:
    """The record is in the attributes of the message that failed."""
    create("dead")
    sent = of_kinds(30, "a", None)
    publish("events", sent)
    argv = [*flags(tmp_path), *runner]
    argv[2] = f"--dead_letter={topic('dead')}"
    assert run(argv) == 0
    found = by_number(take("dead"))
    assert [each.data for each in found] == [each.data for each in sent[1::2]]
    assert {each.attributes["headrace_error_kind"] for each in found} == {"no_topic"}
    assert {each.attributes["headrace_pipeline"] for each in found} == {"pubsub_to_pubsub"}


def test_dead_letter_is_there_within_seconds(broker: Broker, tmp_path: Path) -> None:
    """A job without end does not keep what it rejects until it is stopped."""
    publish("events", of_kinds(3, None))
    argv = [*flags(tmp_path), "--runner=local", f"--state_dir={tmp_path}/state"]
    process = start(argv, broker, tmp_path / "log")
    try:
        wait_until(lambda: len(dead(tmp_path)) == 3, 40)
    finally:
        process.terminate()
        process.wait(60)


def start(argv: list[str], broker: Broker, log: Path) -> subprocess.Popen[str]:
    """Start the pipeline in a process of its own."""
    return start_pipeline("pipelines.pubsub_to_pubsub", broker.address, argv, log)


def test_killed_bus_goes_on_and_loses_nothing(broker: Broker, tmp_path: Path) -> None:
    """After each kill every message arrives; the id of its source tells what came twice."""
    argv = [
        *flags(tmp_path), "--id_attribute=from", "--runner=local", f"--state_dir={tmp_path}/state",
    ]  # fmt: skip
    found: list[Sent] = []
    sent = of_kinds(6_000, "a", "b", None)

    def arrived(wanted: int) -> bool:
        found.extend(take("out-a") + take("out-b"))
        return len({each.data for each in found}) >= wanted

    for life in range(3):
        publish("events", sent[life * 2_000 : (life + 1) * 2_000])
        process = start(argv, broker, tmp_path / "log")
        wait_until(lambda life=life: arrived(life * 1_300 + 200), 60)  # type: ignore[misc]
        process.kill()
        process.wait()
    # What the killed process had taken comes again when its ack deadline has passed.
    drained = [*argv, "--max_seconds=4s", "--on_stop=drain"]
    wait_until(lambda: run(drained) == 0 and arrived(4_000) and len(dead(tmp_path)) >= 2_000, 90)
    ids = {each.attributes.pop("from"): each for each in found}
    once = by_number(list(ids.values()))
    assert once == [each for each in sent if "kind" in each.attributes]
    assert Counter(each.data for each in once).most_common(1)[0][1] == 1
    assert sorted({row["data"] for row in dead(tmp_path)}) == sorted(
        each.data for each in sent[2::3]
    )
    # Dead letters in a folder are each once, whatever was tried again.
    assert len(dead(tmp_path)) == 2_000
    assert take("events") == []


BAD_FLAGS = {
    "condition": (["--where=kind ="], ["--where='kind ='", "its end where"]),
    "column": (["--where=n = 1"], ["--where='n = 1'", "without --schema"]),
    "column of route": (["--output_topic=projects/p/topics/{n}"], ["--output_topic=", "'n' names"]),
    "types": (["--where=attribute:n = 1"], ["--where=", "attribute:n", "attributes are text"]),
    "choice": (["--missing_topic=maybe"], ["--missing_topic='maybe'", "stop or dead"]),
    "attribute": (["--id_attribute=googlish"], ["--id_attribute='googlish'"]),
    "circle": ([f"--output_topic={topic('events')}"], ["--output_topic=", "nothing would ever"]),
    "no topic": ([f"--output_topic={topic('none')}"], ["topics/none", "does not exist"]),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_FLAGS)
def test_bad_flag_is_refused(
    broker: Broker, tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The error names flag, value, rule and fix, and no message was taken."""
    more, words = BAD_FLAGS[name]
    publish("events", of_kinds(1, "a"))
    assert run([*flags(tmp_path), *more]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert all(word in error for word in words), error
    assert len(take("events")) == 1


def test_circle_is_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """A topic that feeds itself would never end."""
    argv = [
        f"--topic={topic('events')}",
        f"--output_topic={topic('events')}",
        f"--dead_letter={tmp_path}",
    ]
    assert run([*argv, "--max_seconds=1s"]) == 2
    assert "nothing would ever end" in capsys.readouterr().err


def test_circle_is_refused_where_a_job_is_launched(
    broker: Broker,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """On Dataflow too, if Pub/Sub can be reached from there; else it is launched, with a note."""
    dataflow = [
        "--runner=DataflowRunner", "--project=my-project", "--region=europe-west1",
        "--temp_location=gs://bucket/t", "--staging_location=gs://bucket/s", "--dry_run=True",
    ]  # fmt: skip
    argv = flags(tmp_path, topic("events"))
    params, _ = parse_flags(pubsub_to_pubsub.Params, argv)
    pipeline = beam.Pipeline(options=PipelineOptions(dataflow))
    with pytest.raises(ConfigError, match="nothing would ever end"):
        pubsub_to_pubsub.build(pipeline, params)
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", f"127.0.0.1:{free_port()}")
    # The broker takes projects of any name, and Dataflow does not.
    params = dataclasses.replace(params, subscription="projects/my-project/subscriptions/some")
    pubsub_to_pubsub.build(beam.Pipeline(options=PipelineOptions(dataflow)), params)
    assert "nobody knows whether --output_topic is the topic that is read" in caplog.text
