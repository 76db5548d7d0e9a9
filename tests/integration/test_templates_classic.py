"""Classic templates, built as a user builds them, on a local server of Cloud Storage."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from google.cloud import dataflow_v1beta3 as api

from templates.rehearsal.classic import METADATA
from templates.rehearsal.flex_launcher import launch_environment
from templates.rehearsal.graph_checks import CHECKS
from templates.rehearsal.job_graph import Objects, read_job
from templates.rehearsal.storage_server import local_storage
from tests.commands import ROOT
from tests.examples import in_the_cloud

pytestmark = pytest.mark.integration

PLACE = "gs://my-bucket/templates/{name}"
IMAGE = "europe-docker.pkg.dev/my-project/headrace/some:1"
_COMMAND = ["-m", "templates", "build-classic"]
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Objects]:
    """A server with the bucket and the schema that the examples name."""
    with local_storage(tmp_path_factory.mktemp("storage")) as client:
        found = Objects(client)
        found.make_bucket("my-bucket")
        schema = (ROOT / "pipelines/demo/flights.json").read_bytes()
        found.write("gs://my-bucket/schemas/flights.json", schema)
        yield found


@pytest.fixture
def build(objects: Objects) -> Run:
    """Run ``build-classic`` of a template, with its example for the cloud and more flags."""

    def run(name: str, *flags: str) -> subprocess.CompletedProcess[str]:
        params = [f"--params={path}" for path in in_the_cloud(name)]
        told = ["--project=my-project", "--region=europe-west1", f"--image={IMAGE}"]
        place = f"--template_location={PLACE.format(name=name)}"
        url = str(objects._client._connection.API_BASE_URL)
        with launch_environment(ROOT, "my-project", url, {}) as environment:
            return subprocess.run(
                [sys.executable, *_COMMAND, name, *params, *told, place, *flags],
                cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False,
            )  # fmt: skip

    return run


def test_template_is_built_with_its_metadata(build: Run, objects: Objects) -> None:
    """A graph with all parameters in it, metadata without any, and how to start a job."""
    done = build("pubsub_to_pubsub")
    assert done.returncode == 0, done.stdout + done.stderr
    place = PLACE.format(name="pubsub_to_pubsub")
    lines = done.stdout.splitlines()
    assert [line.split(":")[0] for line in lines if line.startswith("ok ")] == [
        f"ok     {name}" for name in (*CHECKS, "names by launch", "files listed")
    ]
    assert {place, place + METADATA} <= set(lines)
    assert f"--gcs-location={place}" in done.stdout

    graph = read_job(objects, place)
    assert graph.is_streaming
    assert graph.pubsub_reads[0].subscription == "projects/my-project/subscriptions/flights"
    assert graph.images == {IMAGE}
    assert not graph.job.get("steps")  # they are in the staged graph, as Beam 2.77 has it

    told = json.loads(objects.read(place + METADATA) or b"")
    assert told["parameters"] == []
    metadata = api.TemplateMetadata.from_json(json.dumps(told))
    assert (metadata.streaming, metadata.supports_at_least_once) == (True, True)


def test_template_of_a_job_that_ends(build: Run, objects: Objects) -> None:
    """Without Pub/Sub nothing else is special about it."""
    done = build("lake_compact")
    assert done.returncode == 0, done.stdout + done.stderr
    assert not read_job(objects, PLACE.format(name="lake_compact")).is_streaming


def test_template_of_a_replay_that_streams(
    build: Run, objects: Objects, tmp_path: Path
) -> None:  # fmt: skip
    """That of a subscription does, beside one of a folder."""
    more = tmp_path / "more.yaml"
    more.write_text("failures: projects/my-project/subscriptions/dead\n")
    done = build("deadletter_replay", f"--params={more}")
    assert "ok     streaming: goes on without end" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("name", "check"), [("pubsub_to_lake", "names by launch"), ("archive_replay", "files listed")]
)
def test_what_must_differ_between_jobs_is_refused(
    build: Run, objects: Objects, name: str, check: str
) -> None:
    """Names of files, and lists of files, would be those of the first; nothing is put there."""
    objects.write("gs://my-bucket/archive/2026/some.jsonl", b"")
    done = build(name)
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"WRONG  {check}: " in done.stdout
    assert "Build a Flex template" in done.stdout
    assert not objects.exists(PLACE.format(name=name))
    assert not objects.exists(PLACE.format(name=name) + METADATA)
