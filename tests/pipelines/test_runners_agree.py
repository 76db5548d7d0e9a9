"""Each pipeline does the same on every runner.

What this proves: of one backlog the bounded run on the DirectRunner, and a job on the local runner
that is drained, write the same rows to the same folders and the same dead letters; and the graph
that Beam's Dataflow runner makes for the service, up to the point where it would be uploaded, has
the local runner's steps under the same names, apart from how messages are read, and none but those
that the service is documented to know.

What it does not prove: that the service executes that graph as it should. No service is asked.
Nor is anything late here: what is late depends on the order in which messages come.
"""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import apache_beam as beam
import pyarrow.dataset as ds
import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from connectors import pubsub
from connectors.bigquery.session import session
from connectors.bigquery_local import Server
from connectors.broker import Broker
from connectors.clients import bigquery_endpoint, open_bigquery
from connectors.job import JobOptions
from connectors.run import Limits, Run
from pipelines import (
    launch,
    pubsub_aggregate,
    pubsub_to_bigquery,
    pubsub_to_lake,
    pubsub_to_pubsub,
    pubsub_to_storage,
)
from pipelines.params import parse_flags
from runners import direct
from runners.local import LocalRunner
from tests import topics
from tests.conftest import message_batch
from tests.processes import wait_until
from transforms.metrics import NAMESPACE

RUNNERS = ("direct", "local")
SCHEMA = [
    {"name": "id", "type": "STRING", "mode": "REQUIRED"},
    {"name": "at", "type": "TIMESTAMP", "mode": "REQUIRED"},
    {"name": "n", "type": "INTEGER"},
]
# dry_run ends the work when all is translated: nothing is uploaded, no service is asked.
DATAFLOW = (
    "--runner=DataflowRunner", "--project=test-project", "--region=us-central1", "--streaming",
    "--temp_location=gs://my-bucket/t", "--staging_location=gs://my-bucket/s", "--dry_run=True",
)  # fmt: skip
KNOWN_TO_DATAFLOW = {
    f"beam:transform:{name}:v1"
    for name in ("flatten", "group_by_key", "impulse", "pardo", "pubsub_read", "window_into")
}
REJECTED = [
    b"",
    b"{",
    b"[]",
    b'{"id": "no time", "at": null}',
    b'{"id": "no integer", "at": "2026-01-01T00:00:00Z", "n": 1.5}',
]
LAKE = {"event_time": "at", "dedup_by": "id", "output": "OUT"}


class Job(NamedTuple):
    """A pipeline and its flags; OUT, TOPIC and TABLE in them are where it writes.

    Attributes:
        rejected: how many of the messages are dead letters.
    """

    module: ModuleType
    flags: Mapping[str, str]
    rejected: int = len(REJECTED)

    def __str__(self) -> str:
        flags = " ".join(f"{name}={value}" for name, value in self.flags.items())
        return f"{self.module.__name__.rpartition('.')[2]} {flags}"


JOBS = [
    Job(pubsub_to_lake, {**LAKE, "window": "fixed:1h"}),
    Job(pubsub_to_lake, {**LAKE, "window": "sliding:2h/1h"}),
    Job(pubsub_to_lake, {**LAKE, "window": "session:20m"}),
    Job(pubsub_to_lake, {**LAKE, "window": "1h", "trigger": "early:1s"}),
    Job(pubsub_to_lake, {**LAKE, "window": "2h", "shards": "3", "partition_by": "hour(at)"}),
    Job(pubsub_to_lake, {**LAKE, "dedup_by": "id,n", "dedup_horizon": "1h"}),
    Job(pubsub_to_lake, {"dedup_by": "attribute:key", "output": "OUT"}),
    Job(pubsub_to_lake, {**LAKE, "table_format": "delta", "partition_by": "date(at)"}),
    Job(pubsub_to_lake, {**LAKE, "table_format": "iceberg", "commit_every": "100ms"}),
    Job(pubsub_to_storage, {**LAKE, "window": "1h", "format": "parquet", "shards": "2"}),
    Job(pubsub_to_storage, {"schema": "", "output": "OUT", "format": "parquet"}, rejected=0),
    Job(pubsub_aggregate, {**LAKE, "window": "session:20m", "measures": "n=count(),most=max(n)"}),
    Job(
        pubsub_aggregate, {**LAKE, "window": "sliding:2h/1h", "by": "n", "measures": "rows=count()"}
    ),
    Job(pubsub_to_pubsub, {"output_topic": "TOPIC", "where": "n > 50"}),
    Job(pubsub_to_bigquery, {"dedup_by": "id", "table": "TABLE", "if_missing": "create"}),
]
every_job = pytest.mark.parametrize("job", JOBS, ids=str)


class Place:
    """Where a test runs: a topic with one subscription for each runner, and all that is written."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.server: Server | None = None
        (folder / "schema.json").write_text(json.dumps(SCHEMA))
        topics.create("clicks", *map("out-{}".format, RUNNERS))
        for runner in RUNNERS:
            pubsub.create_subscription(topics.subscription(runner), topics.topic("clicks"))

    def argv(self, job: Job, runner: str) -> list[str]:
        """Return the command line of a job."""
        flags = {"schema": "SCHEMA", **job.flags, "dead_letter": "DEAD"}
        words = {
            "SCHEMA": str(self._folder / "schema.json"),
            "OUT": str(self._folder / runner / "out"),
            "DEAD": str(self._folder / runner / "dead"),
            "TOPIC": topics.topic(f"out-{runner}"),
            "TABLE": f"test-project.clicks.{runner}",
        }
        given = [f"--{name}={words.get(word, word)}" for name, word in flags.items() if word]
        return [f"--subscription={topics.subscription(runner)}", *given]

    def written(self, job: Job, runner: str) -> tuple[Counter[str], Counter[str]]:
        """Return the rows with their folders, or the messages, and the dead letters."""
        rows = self._rows(runner, "out") + Counter(map(str, topics.take(f"out-{runner}")))
        if self.server is not None:
            found = self.server.query(f"SELECT * FROM clicks.{runner}").to_pylist()
            rows += Counter(map(str, found))
        return rows, self._rows(runner, "dead", "failed_at")

    def _rows(self, runner: str, name: str, but: str = "") -> Counter[str]:
        """Return the rows of all files, without what only tells when they were written."""
        root = self._folder / runner / name
        return Counter(
            f"{path.parent.relative_to(root)} {sorted((k, v) for k, v in row.items() if k != but)}"
            for path in root.rglob("*.parquet")
            for row in ds.dataset(path, format="parquet").to_table().to_pylist()
        )


@pytest.fixture
def place(job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setattr(topics, "PROJECT", "projects/test-project")  # one that Dataflow would take
    with contextlib.ExitStack() as closing:
        broker = closing.enter_context(Broker(data_dir=tmp_path / "broker"))
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", broker.address)
        place = Place(tmp_path)
        if "TABLE" in job.flags.values():
            place.server = closing.enter_context(Server(project="test-project"))
            monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", place.server.rest_endpoint)
            monkeypatch.setenv("BIGQUERY_STORAGE_EMULATOR_HOST", place.server.grpc_endpoint)
            client = open_bigquery(bigquery_endpoint(), "test-project")
            client.create_dataset("clicks", retry=None)
            closing.callback(session().close)
        yield place


def click(number: int) -> bytes:
    """Return an event; every fifth minute has one but those between two sessions."""
    minute = number * 5 + number // 20 * 30
    at = f"2026-01-01T{minute // 60:02d}:{minute % 60:02d}:00Z"
    return json.dumps({"id": f"e{number}", "at": at, "n": number}).encode()


def publish() -> int:
    """Publish events, repeated ones, and some that are rejected; return how many."""
    payloads = [*map(click, range(120)), *map(click, range(0, 120, 7)), *REJECTED]
    topics.publish_batch("clicks", message_batch(payloads))
    return len(payloads)


def build(job: Job, argv: list[str], runner: Any = None) -> beam.Pipeline:
    """Return the pipeline of a command line."""
    params, rest = parse_flags(job.module.Params, argv, launch.beam_parser())
    pipeline = beam.Pipeline(runner=runner, options=PipelineOptions(rest))
    job.module.build(pipeline, params)
    return pipeline


def drain(job: Job, argv: list[str], messages: int) -> None:
    """Run a job on the local runner until it has committed so many messages, and close windows."""
    pipeline = build(job, argv, LocalRunner())
    pipeline.options.view_as(JobOptions).headrace_job = "job"
    result = pipeline.run()
    wait_until(lambda: result.progress().numbers.get((NAMESPACE, "messages_read")) == messages, 60)
    result.stop("drain")
    assert result.wait_until_finish() == "DRAINED"


@every_job
def test_same_rows_and_dead_letters(job: Job, place: Place) -> None:
    """What a bounded run writes of a backlog is what a drained job writes of it."""
    messages = publish()
    assert launch.status(job.module, place.argv(job, "direct")) == 0
    drain(job, place.argv(job, "local"), messages)
    rows, dead = place.written(job, "direct")
    assert rows
    assert sum(dead.values()) == job.rejected
    assert place.written(job, "local") == (rows, dead)


def steps(proto: Any) -> dict[str, Any]:
    """Return the steps of Beam's proto by name, without the root."""
    return {
        transform.unique_name: transform
        for key, transform in proto.components.transforms.items()
        if key not in proto.root_transform_ids
    }


def of_dataflow(job: Job, argv: list[str]) -> dict[str, Any]:
    """Return the steps that Beam's Dataflow runner would upload."""
    pipeline = build(job, [*argv, *DATAFLOW])
    pipeline.run()
    return steps(pipeline.runner.proto_pipeline)


def kinds(steps: Mapping[str, Any]) -> dict[str, str]:
    """Return what each step is, but for those within the read."""
    return {name: step.spec.urn for name, step in steps.items() if not name.startswith("Read/")}


@every_job
def test_same_steps(job: Job, place: Place) -> None:
    """Dataflow gets the local runner's steps, each of a kind that it knows; a run's user does too.

    How a step of a bounded run writes is another matter, for it commits as a whole.
    """
    argv = place.argv(job, "local")
    dataflow = of_dataflow(job, argv)
    assert kinds(dataflow) == kinds(steps(build(job, argv, LocalRunner()).to_runner_api()))
    primitives = Counter(step.spec.urn for step in dataflow.values() if not step.subtransforms)
    assert primitives.keys() <= KNOWN_TO_DATAFLOW
    assert primitives["beam:transform:pubsub_read:v1"] == 1
    with Run(Limits()) as run:
        bounded = build(job, [*argv, *run.options()], direct.bounded_runner()).to_runner_api()
    assert visible(steps(bounded)) == visible(dataflow)


def visible(steps: Mapping[str, Any]) -> set[str]:
    """Return the steps that a user has named."""
    return {name for name in steps if "/" not in name}
