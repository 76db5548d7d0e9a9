"""``launch`` where a job of that name runs: it is updated, drained or cancelled, or left alone."""

from collections.abc import Iterator

import pytest

from templates.command import main
from tests.dataflow_jobs import Refusal, Said, Step
from tests.dataflow_server import DataflowServer, Fault
from tests.launches import PLACE, launch, served, stopped

pytestmark = pytest.mark.integration

NAME = "pubsub_to_storage"
JOB = "pubsub-to-storage"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[DataflowServer]:
    """One for each test."""
    with served(monkeypatch) as found:
        yield found


def test_update_replaces_the_running_job(server: DataflowServer) -> None:
    """With the mapping of its steps; the old job has been updated when the new one runs."""
    old = server.jobs.add(JOB)
    assert launch(NAME, "--update", "--transform_name_mapping=Old=New") == 0
    [asked] = server.sent("launch")
    assert asked.body["launchParameter"]["update"] is True
    assert asked.body["launchParameter"]["transformNameMappings"] == {"Old": "New"}
    assert old.state == "UPDATED"
    assert server.jobs.kept[1].replaces is old
    assert old.requested == []


def test_an_update_goes_on_with_the_names_of_files(server: DataflowServer) -> None:
    """By the id that the running job was built with; what was given counts above it."""
    old = server.jobs.add(JOB)
    old.options["headrace_job"] = f"{JOB}-12ab"
    assert launch(NAME, "--update", "--label=team=data") == 0
    labels = server.sent("launch")[0].body["launchParameter"]["environment"]["additionalUserLabels"]
    assert labels == {"headrace-job": "12ab", "team": "data"}
    server.jobs.kept[-1].options["headrace_job"] = "of something else"
    assert launch(NAME, "--update") == 0
    assert "environment" not in server.sent("launch")[1].body["launchParameter"]


def test_drain_ends_the_running_job_and_then_launches(
    server: DataflowServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """In this order; another job is left alone."""
    old, other = server.jobs.add(JOB), server.jobs.add("another")
    old.say(Said("Old news."))
    server.jobs.knows_names = False
    server.faults.append(Fault("POST .*launch", Refusal(503, "UNAVAILABLE", "busy")))
    assert launch(NAME, "--drain") == 0
    lines = capsys.readouterr().out.splitlines()
    assert not [line for line in lines if "Old news" in line]
    assert (old.requested, old.state) == (["DRAINED"], "DRAINED")
    assert (other.requested, other.state) == ([], "RUNNING")
    drained = next(n for n, line in enumerate(lines) if line.endswith("JOB_STATE_DRAINED"))
    assert lines[drained + 1].startswith(f"launched: {JOB} ")
    judged = [each.body.get("validateOnly", False) for each in server.sent("launch")]
    assert judged == [True, True, False]


def test_drain_without_a_running_job_launches(
    server: DataflowServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """So that the same command works the first time too."""
    assert launch(NAME, "--drain") == 0
    assert f"no job {JOB} is running: there is none to drain" in capsys.readouterr().out
    assert len(server.jobs.kept) == 1


@pytest.mark.parametrize(("flag", "state"), [("--drain", "DRAINED"), ("--cancel", "CANCELLED")])
def test_a_job_is_only_ended(server: DataflowServer, flag: str, state: str) -> None:
    """Without parameters and spec; one that is on its way there is only waited for."""
    jobs = [server.jobs.add("mine"), server.jobs.add("mine")]
    jobs[1].state = {"DRAINED": "DRAINING", "CANCELLED": "CANCELLING"}[state]
    jobs[1].script = [Step(state)]
    assert main(["launch", NAME, *PLACE, flag, "--job_name=mine"]) == 0
    assert [job.state for job in jobs] == [state, state]
    assert [job.requested for job in jobs] == [[state], []]
    assert server.sent("launch") == []


@pytest.mark.parametrize("flag", ["--update", "--drain", "--cancel"])
def test_there_is_no_such_job(
    server: DataflowServer, flag: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is launched, and it is said how to see which there are."""
    server.jobs.add("another")
    found = launch(NAME, flag) if flag == "--update" else main(["launch", NAME, *PLACE, flag])
    assert found == 2
    assert f"error: {flag}: there is no running job {JOB}" in capsys.readouterr().err
    assert server.sent("launch") == []


def test_a_name_that_is_taken_is_seen_before(
    server: DataflowServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the id and the state of the job that has it."""
    old = server.jobs.add(JOB)
    assert launch(NAME) == 2
    error = capsys.readouterr().err
    assert (
        f"--job_name='{JOB}': is the name of the job {old.id}, which is JOB_STATE_RUNNING" in error
    )
    assert "Give --update" in error
    assert server.sent("launch") == []


def test_ctrl_c_while_a_job_is_drained(server: DataflowServer) -> None:
    """It is drained all the same, and nothing was launched."""
    job = server.jobs.add(JOB)
    server.faults.append(Fault("GET .*/jobs/[^/]+$", Refusal(503, "UNAVAILABLE", ""), times=99))
    code, _, err = stopped(server, NAME, "--drain")
    assert code == 130, err
    assert err.startswith(
        f"stopped by SIGINT: {JOB} has been told to drain, and does; nothing was launched: https:"
    )
    assert job.requested == ["DRAINED"]
    assert server.jobs.kept == [job]
