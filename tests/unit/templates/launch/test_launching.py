"""``launch`` up to the request: flags, parameters, secrets, and what --dry_run prints."""

import json
import re
import socket
from pathlib import Path

import pytest
from google.cloud import dataflow_v1beta3 as api

from templates.catalogue import find
from templates.command import main
from templates.launch.dataflow import ENDPOINT
from tests.commands import ROOT
from tests.examples import TEMPLATE_NAMES, in_the_cloud
from tests.launches import PLACE, launch, launch_argv, spec_of

NAME = "pubsub_to_storage"


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """In the folder of the clone, without a network."""

    def refuse(*_: object) -> None:
        raise AssertionError("something was sent")

    monkeypatch.chdir(ROOT)
    monkeypatch.delenv(ENDPOINT, raising=False)
    monkeypatch.setattr(socket.socket, "connect", refuse)


@pytest.mark.parametrize("name", TEMPLATE_NAMES)
def test_dry_run_prints_a_request_that_the_api_has(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each field; and parameters are those that the template's metadata has, by its regexes."""
    assert launch(name, "--dry_run") == 0
    printed = capsys.readouterr()
    head, _, body = printed.out.partition("\n")
    assert head == (
        "POST https://dataflow.googleapis.com/v1b3/projects/my-project/locations/europe-west1/"
        "flexTemplates:launch"
    )
    asked = api.LaunchFlexTemplateRequest.from_json(body, ignore_unknown_fields=False)
    metadata = json.loads((ROOT / "templates" / name / "metadata.json").read_text())
    declared = {each["name"]: each for each in metadata["parameters"]}
    given = asked.launch_parameter.parameters
    assert set(given) <= set(declared)
    for one, each in declared.items():
        assert one in given or each["isOptional"]
        assert all(re.search(rule, given[one]) for rule in each.get("regexes", ()) if one in given)
    assert all(line.startswith("note: ") for line in printed.err.splitlines())


def test_render_makes_the_same_body(capsys: pytest.CaptureFixture[str]) -> None:
    """Of a template whose values are no objects that render would read."""
    assert launch(NAME, "--dry_run", "--job_name=my-job") == 0
    body = capsys.readouterr().out.partition("\n")[2]
    files = [flag for path in in_the_cloud(NAME) for flag in ("--params", str(path))]
    argv = ["render", NAME, *files, "--as=rest", f"--spec={spec_of(NAME)}", "--job_name=my-job"]
    assert main(argv) == 0
    assert capsys.readouterr().out == body


def test_everything_in_one_request(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Environment, update and mapping, where the API has them."""
    names = tmp_path / "names.yaml"
    names.write_text("Old: New\n")
    flags = [
        "--dry_run", "--update", f"--transform_name_mapping={names}", "--validate_only",
        "--max_workers=4", "--label=team=data", "--streaming_mode=at_least_once",
    ]  # fmt: skip
    assert launch("pubsub_to_pubsub", *flags) == 0
    printed = capsys.readouterr()
    body = json.loads(printed.out.partition("\n")[2])
    launched = body["launchParameter"]
    assert body["validateOnly"] is True
    assert launched["update"] is True
    assert launched["transformNameMappings"] == {"Old": "New"}
    assert launched["environment"] == {
        "maxWorkers": 4,
        "streamingMode": "STREAMING_MODE_AT_LEAST_ONCE",
        "additionalUserLabels": {"team": "data"},
    }
    assert "note: a running job pubsub-to-pubsub would be looked for" in printed.err
    assert "would be added as the label headrace-job" in printed.err


def test_dry_run_of_a_drain(capsys: pytest.CaptureFixture[str]) -> None:
    """It says what comes first, and shows what would be launched, if anything."""
    path = "https://dataflow.googleapis.com/v1b3/projects/my-project/locations/europe-west1/jobs"
    body = '{"requestedState": "JOB_STATE_DRAINED"}'
    notes = [
        f"note: a running job pubsub-to-storage would be looked for: GET {path}",
        f"note: it would be told to drain: PUT {path}/ITS_ID {body}",
        "note: then it would be waited for",
    ]
    assert launch(NAME, "--drain", "--dry_run") == 0
    printed = capsys.readouterr()
    judged = "note: before it ends, the request below would be judged, with validateOnly"
    assert printed.err.splitlines() == [notes[0], judged, *notes[1:]]
    assert printed.out.startswith("POST ")
    assert main(["launch", NAME, *PLACE, "--drain", "--dry_run"]) == 0
    printed = capsys.readouterr()
    assert (printed.err.splitlines(), printed.out) == (notes, "")


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (["--spec=t.json"], "--spec='t.json': must be the template's object"),
        (["--project=My Project"], "--project='My Project': must be the id of a project"),
        (["--project=123456789"], "and not its name or number"),
        (["--region=europe-west1-b"], "Write --region=europe-west1 --worker_zone=europe-west1-b"),
        (["--region=eu"], "Write for example --region=europe-west1"),
        (["--job_name=My_Job"], "--job_name='My_Job': must be lower-case"),
        (["--label=Team=x"], "--label='Team=x': its key must begin"),
        (["--streaming_mode=at_least_once"], "would break what pubsub_to_storage promises"),
        (["--transform_name_mapping=a=b"], "Give --update with it"),
        (["--drain", "--validate_only"], "--validate_only: starts nothing, and --drain would end"),
    ],
)
def test_a_flag_that_is_wrong(
    change: list[str], error: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2 and one line."""
    assert launch(NAME, *change) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert error in line


def test_what_a_batch_job_can_not(capsys: pytest.CaptureFixture[str]) -> None:
    """It ends by itself, or is cancelled."""
    for flag in ("--update", "--drain"):
        assert launch("archive_replay", flag) == 2
        assert f"error: {flag}: is for a job that streams" in capsys.readouterr().err
    assert find("pubsub_to_lake").may_stream
    assert find("deadletter_replay").may_stream  # of a subscription
    assert not find("archive_replay").may_stream


def test_flags_that_belong_together(capsys: pytest.CaptureFixture[str]) -> None:
    """Only a job that is ended needs neither parameters nor spec."""
    for more in ([], ["--spec=gs://b/t"], ["--drain", "--spec=gs://b/t"], ["--update"]):
        assert main(["launch", NAME, *PLACE, *more]) == 2
        assert "error: --params: is required for a launch" in capsys.readouterr().err
    argv = [each for each in launch_argv(NAME, "--drain") if not each.startswith("--spec")]
    assert main(argv) == 2
    assert "error: --spec: must be the template's object" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        launch(NAME, "--drain", "--update")
    assert "not allowed with argument --drain" in capsys.readouterr().err


def test_all_mistakes_in_parameters_are_told_with_their_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also those that are mistakes only in the cloud."""
    over = tmp_path / "over.yaml"
    over.write_text("window: 5x\noutput: ./here\nshards: 0\nwidth: 3\nmax_messages: 5\n")
    assert launch(NAME, "--params", str(over)) == 2
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(": ")[1] for line in lines] == [f"{over}:{n}" for n in (1, 2, 3, 4, 5)]


def test_all_flags_that_break_their_rules_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    """Each on a line of its own, labels among them."""
    wrong = ("--max_workers=0", "--temp_location=/tmp/x", "--label=Team=X")
    assert launch(NAME, *wrong) == 2
    lines = capsys.readouterr().err.splitlines()
    starts = ["--max_workers='0'", "--temp_location='/tmp/x'", "--label='Team=X'"]
    assert [line.split(": ")[1] for line in lines] == starts


def test_a_secret_is_sent_only_if_that_was_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And never printed."""
    over = tmp_path / "secret.yaml"
    reference = "${secret:projects/p/secrets/s}"
    over.write_text(f"dead_letter: {reference}\n")
    for more in ([], ["--dry_run"]):
        assert launch(NAME, "--params", str(over), *more) == 2
        printed = capsys.readouterr()
        assert f"error: {over}:1: dead_letter: has a secret, which everybody who" in printed.err
        assert "give --reveal_secrets if that is meant" in printed.err
        assert printed.out == ""
    assert launch(NAME, "--params", str(over), "--reveal_secrets", "--dry_run") == 0
    printed = capsys.readouterr()
    body = json.loads(printed.out.partition("\n")[2])
    assert body["launchParameter"]["parameters"]["dead_letter"] == reference
    assert "note: dead_letter would have the text of its secret" in printed.err
