"""The id of a job is the launcher's, or new at each launch."""

import logging

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions

import runners.local.options  # noqa: F401 - it declares --state_dir
from connectors.job import launch_id


def pipeline(*argv: str) -> beam.Pipeline:
    """Return a pipeline with these options."""
    return beam.Pipeline(options=PipelineOptions(argv))


def test_the_launcher_names_the_job() -> None:
    """The id is the same however often it is asked for."""
    built = pipeline("--headrace_job=mine", "--job_name=other")
    assert [launch_id(built), launch_id(built)] == ["mine", "mine"]


def test_without_a_launcher_each_launch_has_an_id(caplog: pytest.LogCaptureFixture) -> None:
    """It begins with the job's name, for people, and is never the same."""
    first, second = launch_id(pipeline("--job_name=nightly")), launch_id(pipeline())
    assert first.startswith("nightly-")
    assert second.startswith("job-")
    assert first != launch_id(pipeline("--job_name=nightly"))
    assert not caplog.records


def test_an_id_that_was_made_stands_in_the_options() -> None:
    """For whoever updates the job; another pipeline with the same options has another."""
    options = PipelineOptions(["--job_name=nightly"])
    first, second = (beam.Pipeline(options=options) for _ in range(2))
    made = launch_id(first)
    assert first.options.get_all_options()["headrace_job"] == made
    assert launch_id(first) == made
    assert launch_id(second) != made


@pytest.mark.parametrize(
    "flags",
    [["--labels=headrace-job=12ab"], ['--labels={"team": "data", "headrace-job": "12ab"}']],
)
def test_an_update_goes_on_under_the_id_of_the_old_job(flags: list[str]) -> None:
    """The launcher of Dataflow passes labels on, in either form."""
    assert launch_id(pipeline("--job_name=nightly", "--labels=a=b", *flags)) == "nightly-12ab"


def test_a_state_that_outlives_the_id_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    """A restart could write a file twice, and the user is told how to prevent it."""
    with caplog.at_level(logging.WARNING):
        launch_id(pipeline("--state_dir=somewhere"))
    assert "--headrace_job=ID" in caplog.text
