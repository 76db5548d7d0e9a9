"""``launch`` with Google's own client, against a strict server of Dataflow's API."""

import json
from collections.abc import Iterator
from pathlib import Path

import google.auth
import pytest
from google.cloud import dataflow_v1beta3 as api
from google.oauth2 import credentials

from templates.launch import dataflow
from tests.certificates import certificate
from tests.dataflow_jobs import Refusal, Step, starts
from tests.dataflow_server import DataflowServer, Fault
from tests.examples import TEMPLATE_NAMES, bucket
from tests.launches import launch, served, spec_of, stopped

pytestmark = pytest.mark.integration

NAME = "pubsub_to_storage"
JOB = "pubsub-to-storage"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[DataflowServer]:
    """One for each test."""
    with served(monkeypatch) as found:
        yield found


def test_a_job_is_launched_and_watched_until_it_runs(
    server: DataflowServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its id, its page, its states and what it says, each once."""
    assert launch(NAME) == 0
    lines = capsys.readouterr().out.splitlines()
    [job] = server.jobs.kept
    assert lines[0] == f"launched: {JOB} {job.id}"
    assert lines[1] == (
        f"https://console.cloud.google.com/dataflow/jobs/europe-west1/{job.id}?project=my-project"
    )
    assert [line.split(" ", 1)[1] for line in lines[3:]] == [
        "JOB_STATE_QUEUED",
        "Worker configuration: n1-standard-2 in europe-west1-b.",
        "JOB_STATE_PENDING",
        "All workers have finished the startup processes.",
        "JOB_STATE_RUNNING",
    ]
    assert "authorization" not in server.sent("launch")[0].headers
    asked = server.sent("GET .*/messages")
    assert [each.query.get("startTime") for each in asked] == [None, None, "2026-11-23T10:00:00Z"]


def test_credentials_go_over_https(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With every request, to a private endpoint too."""
    cert = certificate(tmp_path)
    found = credentials.Credentials(token="secret")
    monkeypatch.setattr(google.auth, "default", lambda *_, **__: (found, "other-project"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(cert[0]))
    with served(monkeypatch, cert) as server:
        assert launch(NAME) == 0
        asked = [each for each in server.requests if each.path != "/"]
        assert {each.headers["authorization"] for each in asked} == {"Bearer secret"}
        assert len(asked) > 5


def test_all_templates_with_what_dry_run_prints(
    server: DataflowServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The service's check of names and regexes passes; the request is the one that was shown."""
    flags = ["--num_workers=2", "--ip_configuration=private", "--label=team=data"]
    with bucket(tmp_path, monkeypatch):
        for name in TEMPLATE_NAMES:
            assert launch(name, *flags, "--dry_run") == 0
            head, _, shown = capsys.readouterr().out.partition("\n")
            assert launch(name, *flags, "--wait=no") == 0
            sent = server.sent("launch")[-1]
            assert head == f"POST {server.url}{sent.path}"
            assert _parsed(json.loads(shown)) == _parsed(sent.body)
            capsys.readouterr()
    assert len(server.jobs.kept) == len(TEMPLATE_NAMES)


def _parsed(body: object) -> api.LaunchFlexTemplateRequest:
    return api.LaunchFlexTemplateRequest.from_json(json.dumps(body), ignore_unknown_fields=False)


def test_validate_only_starts_nothing(
    server: DataflowServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """The service is asked, and says so."""
    assert launch(NAME, "--validate_only") == 0
    assert capsys.readouterr().out == (
        f"Dataflow accepts the launch of {JOB}; nothing was started\n"
    )
    assert server.jobs.kept == []
    assert [each.body["validateOnly"] for each in server.requests if each.method == "POST"] == [
        True
    ]


LOST = {
    "no answer": Fault("POST .*launch", done=True),
    "503": Fault("POST .*launch", Refusal(503, "UNAVAILABLE", "try again"), done=True),
    "too late": Fault("POST .*launch", Refusal(503, "UNAVAILABLE", ""), done=True, wait_s=0.6),
}


@pytest.mark.parametrize("lost", LOST)
@pytest.mark.parametrize("update", [False, True])
def test_a_lost_answer_makes_no_second_job(
    server: DataflowServer, lost: str, update: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job that the request has made is found by its name, and watched."""
    monkeypatch.setattr(dataflow, "_LAUNCH_TIMEOUT_S", 0.3)
    old = [server.jobs.add(JOB)] if update else []
    server.faults.append(LOST[lost])
    LOST[lost].times = 1
    assert launch(NAME, *(["--update"] if update else [])) == 0
    assert len(server.jobs.kept) == len(old) + 1
    assert server.jobs.kept[-1].state == "RUNNING"
    assert len(server.sent("launch")) == 1


def test_a_lost_answer_and_a_list_that_is_late(server: DataflowServer) -> None:
    """The second request is refused for its name; by then the job of the first one is listed."""
    server.jobs.unlisted = 1
    server.faults.append(Fault("POST .*launch", done=True))
    assert launch(NAME) == 0
    assert [job.state for job in server.jobs.kept] == ["RUNNING"]
    assert len(server.sent("launch")) == 2


def test_a_request_that_was_not_taken_is_sent_again(server: DataflowServer) -> None:
    """And every other call is tried again as well."""
    busy = Refusal(503, "UNAVAILABLE", "The service is currently unavailable.")
    slow = Refusal(404, "NOT_FOUND", "RPC::DEADLINE_EXCEEDED: Deadline exceeded")
    server.faults += [
        Fault("POST .*launch", busy), Fault("GET .*/jobs$", busy), Fault("GET .*messages", busy),
        Fault("GET .*/jobs/", slow),
    ]  # fmt: skip
    assert launch(NAME) == 0
    assert all(fault.times == 0 for fault in server.faults)
    assert [job.state for job in server.jobs.kept] == ["RUNNING"]


@pytest.mark.filterwarnings("ignore:Unrecognized JobState")
def test_a_state_that_the_client_does_not_know(
    server: DataflowServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """The service is newer: its number is told, and the job is watched on."""
    server.jobs.next_script = [Step("99"), Step("RUNNING")]
    assert launch(NAME) == 0
    assert "Z 99\n" in capsys.readouterr().out


def test_a_batch_job_is_watched_until_it_is_done(server: DataflowServer) -> None:
    """If asked; else a look at it that finds it done is enough too."""
    server.jobs.next_script = [*starts(), Step("DONE")]
    assert launch("archive_replay", "--wait=done") == 0
    server.jobs.next_script = [Step("DONE")]
    assert launch("archive_replay", "--job_name=two") == 0
    assert [job.state for job in server.jobs.kept] == ["DONE", "DONE"]
    server.jobs.next_script = [*starts(), Step("CANCELLED")]
    assert launch("archive_replay", "--job_name=three", "--wait=done") == 1


def test_ctrl_c_leaves_the_job_running(server: DataflowServer) -> None:
    """It says so, with the page of the job; the exit code is that of the signal."""
    server.jobs.next_script = [Step("QUEUED")]
    code, out, err = stopped(server, NAME)
    [job] = server.jobs.kept
    assert code == 130, err
    assert f"launched: {JOB} {job.id}" in out
    assert err.startswith(f"stopped by SIGINT: {JOB} goes on as {job.id}: https://console")
    assert job.requested == []
    assert job.state == "QUEUED"


def test_the_place_of_a_template_that_is_none(
    server: DataflowServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line, with the command that shows it."""
    del server.jobs.specs[spec_of(NAME)]
    assert launch(NAME) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: --spec='{spec_of(NAME)}': can't be read by Dataflow (Unable")
    assert f"gcloud storage ls {spec_of(NAME)}" in line
