"""What goes wrong with a launch: one clear line each, with the fix and an exit code."""

from collections.abc import Iterator
from pathlib import Path

import google.auth
import pytest

from templates.files.references import SecretManager
from templates.launch import dataflow
from tests.dataflow_jobs import Refusal
from tests.dataflow_server import DataflowServer, Fault
from tests.examples import bucket
from tests.launches import error_line, launch, served, spec_of
from tests.processes import free_port

pytestmark = pytest.mark.integration

NAME = "pubsub_to_storage"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[DataflowServer]:
    """One for each test."""
    with served(monkeypatch) as found:
        yield found


DISABLED = Refusal(
    403, "PERMISSION_DENIED", "Dataflow API has not been used in project 12 or is disabled.",
    [{
        "@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "SERVICE_DISABLED",
        "metadata": {"service": "dataflow.googleapis.com", "consumer": "projects/12"},
    }],
)  # fmt: skip
REFUSALS = {
    "denied": (
        Refusal(403, "PERMISSION_DENIED", "(0f1e2d3c4b5a6978): Missing dataflow.jobs.create."),
        (
            "error: --project='my-project': access is denied (Missing dataflow.jobs.create). Grant "
            "the account that launches roles/dataflow.developer on the project"
        ),
    ),
    "account": (
        Refusal(403, "PERMISSION_DENIED", "Missing iam.serviceAccounts.actAs on a@b.c"),
        (
            "error: --service_account_email: you may not start workers as that account (Missing "
            "iam.serviceAccounts.actAs on a@b.c). Grant yourself roles/iam.serviceAccountUser on it"
        ),
    ),
    "disabled": (
        DISABLED,
        (
            "error: --project='my-project': has not enabled dataflow.googleapis.com. Run gcloud "
            "services enable dataflow.googleapis.com --project=my-project, and wait a minute"
        ),
    ),
    "unknown": (
        Refusal(401, "UNAUTHENTICATED", "Request had invalid authentication credentials."),
        "asks for credentials, which are sent over https:// only. Write https://",
    ),
    "taken": (
        Refusal(409, "ALREADY_EXISTS", "(78f666ea16e50f79): There is already an active job"),
        (
            "error: --job_name='pubsub-to-storage': is the name of a job that has not ended. Give "
            "--update to replace it, --drain to end it first, or another --job_name"
        ),
    ),
    "region": (
        Refusal(404, "NOT_FOUND", "Location europe-west1 is not found."),
        "error: --project='my-project': and --region=europe-west1 have no such thing (Location",
    ),
    "invalid": (
        Refusal(400, "INVALID_ARGUMENT", "(78f666ea16e50f79): The workers' zone is closed."),
        (
            "error: launch='pubsub-to-storage': Dataflow refuses it (The workers' zone is closed). "
            "Correct what it names; --dry_run shows the request"
        ),
    ),
}


@pytest.mark.parametrize("kind", REFUSALS)
def test_what_the_service_refuses(
    server: DataflowServer, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The flag, what was said, and what to do; it is asked once."""
    answer, expected = REFUSALS[kind]
    server.faults.append(Fault("POST .*launch", answer, times=9))
    assert launch(NAME) == 2
    assert expected in error_line(capsys)
    assert len(server.sent("launch")) == 1
    assert server.jobs.kept == []


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (
            Refusal(429, "RESOURCE_EXHAUSTED", "Quota exceeded for quota metric 'Requests'."),
            (
                "Quota exceeded for quota metric 'Requests'. Try again later, or ask for more: "
                "https://console.cloud.google.com/iam-admin/quotas?project=my-project"
            ),
        ),
        (Refusal(503, "UNAVAILABLE", "Busy."), "Busy. Does a server listen there?"),
        (None, "Does a server listen there?"),
    ],
)
def test_what_may_pass_is_tried_for_a_while(
    server: DataflowServer,
    answer: Refusal | None,
    expected: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Several times; the exit code is that of a service that did not answer."""
    server.faults.append(Fault("POST .*launch", answer, times=1_000))
    assert launch(NAME) == 1
    line = error_line(capsys)
    assert line.startswith(f"error: Dataflow at {server.url}: ")
    assert expected in line
    assert line.endswith(
        "How things stand: whether pubsub-to-storage was launched is not known; see: gcloud "
        "dataflow jobs list --project=my-project --region=europe-west1"
    )
    assert len(server.sent("launch")) > 1


def test_a_job_that_is_lost_sight_of(
    server: DataflowServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """It goes on, and that is said."""
    server.faults.append(Fault("GET .*/jobs/", None, times=1_000))
    assert launch(NAME) == 1
    [job] = server.jobs.kept
    assert f"How things stand: {job.name} goes on as {job.id}: https://" in error_line(capsys)


def test_nobody_listens(
    server: DataflowServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The address, and where it comes from."""
    monkeypatch.setenv(dataflow.ENDPOINT, f"http://127.0.0.1:{free_port()}")
    monkeypatch.setattr("connectors.reachable.unreachable.__defaults__", (0.3,))
    assert launch(NAME) == 1
    line = error_line(capsys)
    assert "error: Dataflow does not answer at http://127.0.0.1:" in line
    assert "CLOUDSDK_API_ENDPOINT_OVERRIDES_DATAFLOW; unset it to reach Google" in line
    assert server.requests == []


def test_what_would_be_refused_ends_no_running_job(
    server: DataflowServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """The request is judged before the drain; that its name is taken is no matter then."""
    old = server.jobs.add("pubsub-to-storage")
    taken = Refusal(409, "ALREADY_EXISTS", "There is already an active job")
    server.faults.append(Fault("POST .*launch", taken))
    assert launch(NAME, "--drain", "--wait=no") == 0
    assert old.state == "DRAINED"
    again = server.jobs.kept[-1]
    del server.jobs.specs[spec_of(NAME)]
    assert launch(NAME, "--drain") == 2
    note, line = capsys.readouterr().err.splitlines()
    assert note == "note: nothing was sent"
    assert "can't be read by Dataflow" in line
    assert (again.state, again.requested) == ("QUEUED", [])


def test_a_launch_that_is_refused_after_a_drain(
    server: DataflowServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is said that no job runs now."""
    old = server.jobs.add("pubsub-to-storage")
    denied = Refusal(403, "PERMISSION_DENIED", "no")
    server.faults += [Fault("POST .*launch", None), Fault("POST .*launch", denied)]
    server.faults[0].done, server.faults[0].answer = True, Refusal(409, "ALREADY_EXISTS", "taken")
    assert launch(NAME, "--drain") == 2
    note, line = capsys.readouterr().err.splitlines()
    assert note == "note: pubsub-to-storage has ended, and nothing was launched"
    assert "access is denied" in line
    assert old.state == "DRAINED"


def test_there_are_no_credentials(
    server: DataflowServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """For an address that needs them, which is every one of https."""
    monkeypatch.setenv(dataflow.ENDPOINT, "https://127.0.0.1:1")

    def none(**_: object) -> None:
        raise google.auth.exceptions.DefaultCredentialsError("None were found.")

    monkeypatch.setattr(google.auth, "default", lambda *_, **__: none())
    assert launch(NAME) == 2
    line = error_line(capsys)
    assert "error: GOOGLE_APPLICATION_CREDENTIALS" in line
    assert "gives no credentials for https://127.0.0.1:1 (None were found)" in line
    assert line.endswith("Run gcloud auth application-default login; --dry_run needs none")
    assert server.requests == []


def test_parameters_that_the_template_refuses_are_told_with_their_lines(
    server: DataflowServer, capsys: pytest.CaptureFixture[str]
) -> None:
    """It was built from another version: each parameter is a line."""
    metadata = server.jobs.specs[spec_of(NAME)]["metadata"]
    known = [each for each in metadata["parameters"] if each["name"] not in ("window", "shards")]
    metadata["parameters"] = [*known, {"name": "new", "isOptional": False}]
    assert launch(NAME) == 2
    lines = capsys.readouterr().err.splitlines()
    path = Path("examples/pubsub_to_storage.dataflow.yaml")
    given = path.read_text().splitlines()
    numbers = {line.split(":")[0]: n for n, line in enumerate(given, 1) if ":" in line}
    refused = "Dataflow refuses it (Unrecognized parameter). Build it anew: "
    assert sorted(lines) == [
        f"error: {path}:{numbers['shards']}: shards: {refused}python -m templates build",
        f"error: {path}:{numbers['window']}: window: {refused}python -m templates build",
        f"error: new: {refused}python -m templates build".replace(
            "Unrecognized", "Missing required"
        ),
    ]


def test_a_secret_that_may_be_sent_is_read_and_not_printed(
    server: DataflowServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """It stands in the request, judged as any other value."""
    texts = {"projects/p/secrets/s/versions/latest": "projects/p/topics/hidden"}
    monkeypatch.setattr(SecretManager, "read", lambda _, name: texts[name])
    over = tmp_path / "over.yaml"
    over.write_text("dead_letter: ${secret:projects/p/secrets/s}\n")
    assert launch(NAME, "--params", str(over), "--reveal_secrets") == 0
    [sent] = server.sent("launch")
    assert sent.body["launchParameter"]["parameters"]["dead_letter"] == "projects/p/topics/hidden"
    assert "hidden" not in str(capsys.readouterr())
    texts["projects/p/secrets/s/versions/latest"] = "hidden/folder"
    assert launch(NAME, "--params", str(over), "--reveal_secrets", "--job_name=two") == 2
    line = error_line(capsys)
    assert f"{over}:1: dead_letter=" in line
    assert "hidden" not in line


def test_an_object_that_may_not_be_read_is_left_to_the_job(
    server: DataflowServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Who launches need not be allowed what the workers are. One that is not there is a mistake."""
    with bucket(tmp_path, monkeypatch):
        assert launch("pubsub_to_lake", "--wait=no") == 0
        assert capsys.readouterr().err == ""
        gone = tmp_path / "gone.yaml"
        gone.write_text("schema: gs://my-bucket/schemas/none.json\n")
        assert launch("pubsub_to_lake", "--params", str(gone)) == 2
        assert f"error: {gone}:1: schema='gs://my-bucket/schemas/none.json'" in error_line(capsys)
    server.faults.append(Fault("/storage|/b/|/download", Refusal(403, "PERMISSION_DENIED", "no")))
    server.faults[-1].times = 99
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
    assert launch("pubsub_to_lake", "--job_name=two", "--wait=no") == 0
    assert "note: schema names an object that was not read" in error_line(capsys)
