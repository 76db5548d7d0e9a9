"""Jobs that do not come to run: what they said, what to do, and the exit code."""

from collections.abc import Iterator

import pytest

from tests.dataflow_jobs import Said, Step
from tests.dataflow_server import DataflowServer
from tests.launches import error_line, launch, served

pytestmark = pytest.mark.integration

NAME = "pubsub_to_storage"
ERROR = "JOB_MESSAGE_ERROR"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[DataflowServer]:
    """One for each test."""
    with served(monkeypatch) as found:
        yield found


FAILURES = {
    "incompatible": (
        (
            "Workflow failed. Causes: The new job is not compatible with 2026-11-23_01. The "
            "original job has not been aborted., The new job is missing steps Parse."
        ),
        "The running job goes on as it was. Map steps that were renamed: --transform_name_mapping",
    ),
    "launcher": (
        "Error occurred in the launcher container: Template launch failed. See console logs.",
        "What the pipeline printed at its launch is in the log of the job",
    ),
    "polling": (
        "Timeout in polling result file: gs://b/staging/template_launches/1/operation_result.",
        "must be allowed to pull the image",
    ),
    "zone": (
        (
            "Startup of the worker pool in zone europe-west1-b failed to bring up any of the "
            "desired 1 workers. ZONE_RESOURCE_POOL_EXHAUSTED: not enough."
        ),
        "Give another --worker_zone, --worker_region or --machine_type",
    ),
    "quota": ("Project my-project has insufficient quota(s).", "Ask for more: https://console"),
    "other": ("Something else.", ""),
}


@pytest.mark.parametrize("kind", FAILURES)
def test_a_job_that_fails(
    server: DataflowServer, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its errors in one line, what to do, and its page; the exit code is 1."""
    text, advice = FAILURES[kind]
    old = [server.jobs.add("pubsub-to-storage")] if kind == "incompatible" else []
    server.jobs.next_script = [
        Step("QUEUED", (Said("A warning.", "JOB_MESSAGE_WARNING"),)),
        Step("FAILED", (Said(text, ERROR),)),
    ]
    assert launch(NAME, *(["--update"] if old else [])) == 1
    line = error_line(capsys)
    said = text.rstrip(".")
    assert line.startswith(f"error: job pubsub-to-storage is JOB_STATE_FAILED: {said}. ")
    assert advice in line
    assert line.endswith(f"/{server.jobs.kept[-1].id}?project=my-project")
    assert "A warning" not in line
    assert [job.state for job in old] == ["RUNNING"] * len(old)


def test_an_error_that_comes_later_than_the_state(
    server: DataflowServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is waited for a little."""
    server.jobs.next_script = [Step("FAILED"), Step("FAILED", (Said("Late.", ERROR),))]
    assert launch(NAME) == 1
    assert "is JOB_STATE_FAILED: Late. See https" in error_line(capsys)


def test_a_job_that_is_stopped_by_someone_else(
    server: DataflowServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """It never ran, so that the launch did not succeed."""
    server.jobs.next_script = [Step("QUEUED"), Step("CANCELLED")]
    assert launch(NAME) == 1
    assert "job pubsub-to-storage is JOB_STATE_CANCELLED. See https" in error_line(capsys)


def test_a_drain_that_fails_launches_nothing(
    server: DataflowServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two jobs that read one subscription would be the worse."""
    server.jobs.add("pubsub-to-storage", Step("DRAINING"), Step("FAILED", (Said("Bad.", ERROR),)))
    server.jobs.kept[0].state = "DRAINING"
    assert launch(NAME, "--drain") == 1
    assert "is JOB_STATE_FAILED: Bad" in error_line(capsys)
    assert len(server.jobs.kept) == 1
