"""Jobs as --template_location leaves them."""

from __future__ import annotations

import json

import apache_beam as beam
import pytest

from connectors import pubsub
from templates.rehearsal.job_graph import JobGraph, Objects, read_job
from templates.rehearsal.simulation import tree
from tests.job_graphs import IMAGE, LABELS, built
from transforms.errors import DataError
from transforms.filter import Filter

SUBSCRIPTION = "projects/my-project/subscriptions/some"


@pytest.fixture(scope="module")
def graph() -> JobGraph:
    """A job that reads and filters."""
    return built(lambda p: p | "Read" >> pubsub.Read(SUBSCRIPTION) | "Where" >> Filter(None))


def test_job_is_what_it_says(graph: JobGraph) -> None:
    """Name, labels, kind, image and hash of its graph."""
    assert graph.is_streaming
    assert graph.labels == LABELS
    assert graph.images == {IMAGE}
    assert graph.options["job_name"] == "some-job"
    assert graph.hash_is_right


def test_steps_are_in_the_order_of_their_construction(graph: JobGraph) -> None:
    """A composite before its parts; shown as a tree."""
    names = [step.name for step in graph.steps]
    assert names[:3] == ["Read", "Read/Messages", "Read/Messages/Read"]
    assert next(name for name in names if not name.startswith("Read")) == "Where"
    assert list(tree(graph))[:4] == [
        "  Read",
        "    Messages",
        "      Read",
        "      ParDo(_AddMetricsPassThrough)",
    ]
    assert "  Where" in list(tree(graph))


def test_steps_of_a_job_that_ends_are_all_there() -> None:
    """Beam sorts and packs those before it sends them."""
    found = built(lambda p: p | "Make" >> beam.Create([1]) | "Sum" >> beam.CombineGlobally(sum))
    names = [step.name for step in found.steps]
    assert len(names) == len(set(names))
    assert {"Make", "Sum"} <= set(names)


def test_reads_and_pickles_are_known_by_their_steps(graph: JobGraph) -> None:
    """Which Dataflow does itself, and what a worker imports for each."""
    ((step, subscription, topic, whole),) = graph.pubsub_reads
    assert (step, subscription, topic, whole) == ("Read/Messages/Read", SUBSCRIPTION, "", True)
    assert "connectors.pubsub.dataflow" in graph.pickled["Read/Batch"].names


def job(url: str) -> bytes:
    """Return a job's file that names a graph."""
    options = {"options": {"pipelineUrl": url}}
    return json.dumps({"environment": {"sdkPipelineOptions": options}}).encode()


def test_job_is_read_back(graph: JobGraph, objects: Objects) -> None:
    """From its file and what that names."""
    pipeline = type(graph.pipeline).FromString(graph.pipeline_bytes)
    for environment in pipeline.components.environments.values():
        del environment.dependencies[:]  # which nobody has staged
    objects.write("gs://bucket/one/pipeline.pb", pipeline.SerializeToString())
    objects.write("gs://bucket/one/job", job("gs://bucket/one/pipeline.pb"))
    found = read_job(objects, "gs://bucket/one/job")
    assert [step.name for step in found.steps] == [step.name for step in graph.steps]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "the job's file is missing"),
        (b"no JSON", "is no job that names its pipelineUrl"),
        (b"[]", "is no job that names its pipelineUrl"),
        (b'{"environment": {}}', "is no job that names its pipelineUrl"),
        (
            job("gs://bucket/none.pb"),
            "gs://bucket/none.pb: the graph that the job names is missing",
        ),
        (job("gs://bucket/bad.pb"), "gs://bucket/bad.pb: is no pipeline of Beam's model"),
    ],
)
def test_job_that_is_none_is_told(objects: Objects, content: bytes | None, told: str) -> None:
    """With the object that is wrong."""
    objects.write("gs://bucket/bad.pb", b"\xff\xff\xff")
    name = f"gs://bucket/jobs/{told[:6].strip()}-{len(content or b'')}"
    if content is not None:
        objects.write(name, content)
    with pytest.raises(DataError, match=told.replace("(", r"\(")):
        read_job(objects, name)
