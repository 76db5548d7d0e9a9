"""Each check of a job graph: what passes, and what fails for which reason."""

from __future__ import annotations

import dataclasses
import functools
import importlib
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest

from connectors import pubsub, storage
from templates.rehearsal import graph_checks
from templates.rehearsal.graph_checks import CHECKS, findings
from templates.rehearsal.job_graph import JobGraph
from tests.commands import ROOT
from tests.job_graphs import IMAGE, JOB, built, expected
from transforms.filter import Filter

SUBSCRIPTION = "projects/my-project/subscriptions/some"


def good(pipeline: beam.Pipeline) -> None:
    """Build a graph with nothing wrong in it."""
    _ = pipeline | "Read" >> pubsub.Read(SUBSCRIPTION) | "Where" >> Filter(None)


@pytest.fixture(scope="module")
def graph() -> JobGraph:
    """A job with nothing wrong."""
    return built(good)


def problems(graph: JobGraph, **more: Any) -> dict[str, str]:
    """Return the problem of each check that fails."""
    told = expected(**{"streaming": True, "subscriptions": (SUBSCRIPTION,), **more})
    return {each.name: each.problem for each in findings(graph, told) if each.problem}


def test_good_graph_passes_every_check(graph: JobGraph) -> None:
    """Each says what it has seen."""
    told = expected(streaming=True, subscriptions=(SUBSCRIPTION,))
    found = list(findings(graph, told))
    assert [each.name for each in found] == list(CHECKS)
    assert all(each.seen and not each.problem and not each.fix for each in found), found


def test_failed_check_tells_a_fix(graph: JobGraph) -> None:
    """What is wrong, and what to do."""
    (found,) = (each for each in findings(graph, expected()) if each.name == "streaming")
    assert (found.seen, bool(found.fix)) == ("", True)
    assert found.problem == "the job goes on without end, and the template says that it ends"


def test_graph_of_another_launch_is_told(graph: JobGraph) -> None:
    """The bytes are not those that the job has hashed."""
    other = dataclasses.replace(graph, pipeline_bytes=graph.pipeline_bytes + b"x")
    assert list(problems(other)) == ["graph"]


def test_empty_graph_is_told() -> None:
    """A build function that adds nothing makes a job all the same."""
    found = problems(built(lambda _: None), streaming=False, subscriptions=())
    assert found["steps"] == "the graph has no steps"
    assert found["container"].startswith("workers start from no image")


def test_name_that_changes_with_the_line_is_told() -> None:
    """Beam names a step for a lambda by the line of its code."""

    def build(pipeline: beam.Pipeline) -> None:
        _ = pipeline | "Read" >> pubsub.Read(SUBSCRIPTION) | beam.Filter(lambda _: True)

    (name, problem), *more = problems(built(build), code=str(ROOT)).items()
    assert (name, more) == ("step names", [])
    assert "Filter(<lambda at test_graph_checks.py:" in problem


def test_two_steps_of_one_name_are_told(graph: JobGraph) -> None:
    """Beam refuses that, unless it is asked not to."""
    twice = type(graph.pipeline).FromString(graph.pipeline_bytes)
    for transform in twice.components.transforms.values():
        transform.unique_name = transform.unique_name.replace("Where", "Read")
    other = dataclasses.replace(graph, pipeline=twice)
    assert "several steps have the name 'Read'" in problems(other)["step names"]


def test_names_of_a_job_that_ends_may_change() -> None:
    """Nobody can update it."""
    found = built(lambda pipeline: pipeline | beam.Create([1]) | beam.Map(lambda each: each))
    assert not {"step names"} & set(problems(found, streaming=False, subscriptions=()))


@pytest.mark.parametrize("option", ["project", "region", "job_name", "staging_location"])
def test_option_that_the_pipeline_has_changed_is_told(graph: JobGraph, option: str) -> None:
    """The launcher's options are not the pipeline's to change."""
    found = problems(graph, options={**JOB, option: "gs://other/place"})
    assert list(found) == ["options"]
    assert found["options"].startswith(f"the option {option} is ")


def test_label_that_is_missing_is_told(graph: JobGraph) -> None:
    """It is by labels that Dataflow counts a template's jobs."""
    assert list(problems(graph, labels={"team": "rivers"})) == ["labels"]


def test_other_image_is_told(graph: JobGraph) -> None:
    """Workers would start from another one than was asked for."""
    found = problems(graph, image="gcr.io/other/image:1")
    assert list(found) == ["container"]
    assert IMAGE in found["container"]


def test_image_of_beam_has_no_code_of_ours() -> None:
    """Unless the code is staged for it."""
    image = "gcr.io/cloud-dataflow/v1beta3/beam_python3.11_sdk:2.77.0"
    found = built(good, f"--sdk_container_image={image}")
    assert list(problems(found, image=image)) == ["worker code"]
    assert not problems(found, image=image, staged_code=True)


@pytest.fixture
def steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """Make modules of a text that are beside the pipeline and nowhere else."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def make(text: str) -> Any:
        (tmp_path / "steps_beside.py").write_text(text)
        monkeypatch.delitem(sys.modules, "steps_beside", raising=False)
        return importlib.import_module("steps_beside")

    return make


STEP = """
import apache_beam as beam

class Step(beam.DoFn):
    def process(self, element):
        yield element
"""


def with_step(step: beam.DoFn) -> JobGraph:
    """Return a job with one more step."""

    def build(pipeline: beam.Pipeline) -> None:
        _ = pipeline | "Read" >> pubsub.Read(SUBSCRIPTION) | "Step" >> beam.ParDo(step)

    return built(build)


def test_module_that_no_worker_has_is_told(steps: Callable[[str], Any]) -> None:
    """A file beside the one that is run is found here, and not there."""
    found = problems(with_step(steps(STEP).Step()))
    assert found == {"worker code": "Step needs the module steps_beside, which no worker has"}


def test_class_of_the_file_that_is_run_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """It travels by value as one of a module of which workers have another."""
    monkeypatch.setattr(sys.modules["__main__"], "beam", beam, raising=False)
    monkeypatch.setattr(sys.modules["__main__"], "Step", None, raising=False)
    exec(STEP, vars(sys.modules["__main__"]))
    found = problems(with_step(vars(sys.modules["__main__"])["Step"]()), code=str(ROOT))
    assert list(found) == ["main module"]
    assert found["main module"].startswith("Step has pickled ")
    assert "of __main__, a module that no worker has" in found["main module"]


def with_value(value: str) -> Callable[[beam.Pipeline], None]:
    """Return what builds a graph in which a step has a value."""

    def build(pipeline: beam.Pipeline) -> None:
        step = beam.Map(functools.partial(max, value))
        _ = pipeline | "Read" >> pubsub.Read(SUBSCRIPTION) | "Step" >> step

    return build


def test_place_on_this_machine_is_told(tmp_path: Path) -> None:
    """A worker looks for it in vain."""
    found = problems(built(with_value(str(tmp_path / "names.json"))))
    assert list(found) == ["local paths"]
    assert found["local paths"].startswith(f"Step names '{tmp_path}/names.json'")


@pytest.mark.parametrize(
    ("text", "is_local"),
    [
        ("/tmp/x", True), ("file:///tmp/x", True), ("in /tmp/x", True), ("gs://b/tmp/x", False),
        ("/tmp", False), ("/tmp/image/own.py", False),
    ],
)  # fmt: skip
def test_local_is_a_place_of_this_machine(
    text: str, is_local: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And not a folder of that name in a bucket, nor code that is installed."""
    monkeypatch.setattr("tempfile.tempdir", "/tmp")
    assert graph_checks._is_local(text, ["/tmp/image"]) == is_local


def test_read_that_is_not_of_the_service_is_told() -> None:
    """Nothing of Dataflow's own reads what the parameter names."""

    def build(pipeline: beam.Pipeline) -> None:
        _ = pipeline | "Read" >> beam.Impulse() | "Where" >> Filter(None)

    found = problems(built(build, "--streaming"))
    assert found == {"reads": f"{SUBSCRIPTION} is read by no step of Dataflow's own"}


def test_read_that_no_parameter_names_is_told(graph: JobGraph) -> None:
    """It can't be changed by a launch."""
    found = problems(graph, subscriptions=())
    assert found == {"reads": f"{SUBSCRIPTION} is read, and no parameter names it"}


def test_read_of_payloads_alone_is_told() -> None:
    """Our steps take whole messages."""

    def build(pipeline: beam.Pipeline) -> None:
        _ = pipeline | "Read" >> beam.io.ReadFromPubSub(subscription=SUBSCRIPTION)

    assert "without attributes, id and time" in problems(built(build))["reads"]


def test_id_that_the_options_do_not_tell_is_told() -> None:
    """Files are named by it, and an update must name them as the job before."""

    def build(pipeline: beam.Pipeline) -> None:
        read = pipeline | "Read" >> pubsub.Read(SUBSCRIPTION)
        _ = read | "Write" >> storage.Write("gs://my-bucket/files")

    graph = built(build)
    assert not problems(graph)
    environment = graph.job["environment"]["sdkPipelineOptions"]["options"]
    assert environment.pop("headrace_job").startswith("some-job-")
    assert list(problems(graph)) == ["job id"]


def test_graph_above_the_limit_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is pickled with a step counts."""
    monkeypatch.setattr(graph_checks, "GRAPH_BYTES_MAX", 100_000)
    graph = built(with_value(random.Random(0).randbytes(80_000).hex()))
    assert problems(graph) == {
        "size": f"its graph has {len(graph.pipeline_bytes):,} bytes, and Dataflow takes 100,000"
    }
    many = dataclasses.replace(built(good), job_bytes=100_001)
    assert problems(many) == {"size": "the job has 100,001 bytes, and Dataflow takes 100,000"}
