"""``python -m templates import-google``: what it prints and writes, and its exit codes."""

import json
import shlex
from pathlib import Path

import pytest

from templates.command import main
from tests.commands import ROOT

GOOD = """
template_gcs_path: gs://dataflow-templates/latest/Cloud_PubSub_to_Avro
region: europe-west1
max_workers: 4
zone: europe-west1-b
parameters:
  inputTopic: projects/my-project/topics/flights
  outputDirectory: gs://my-bucket/flights/YYYY/
  avroTempDirectory: gs://my-bucket/temp/
"""
BAD = GOOD + "  outputFilenamePrefix: a/b-\n  windowDuraton: 5m\n"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    Path("good.yaml").write_text(GOOD)
    Path("bad.yaml").write_text(BAD)
    return tmp_path


def _filled_in(command: str) -> list[str]:
    """Return the words behind ``templates`` of a command that was printed."""
    named = command.replace("PARAMS.yaml", "params.yaml").replace("PROJECT", "my-project")
    return shlex.split(named)[3:]


def test_a_job_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """The file alone on stdout; what was left out, and what comes next, beside it."""
    assert main(["import-google", "good.yaml"]) == 0
    printed = capsys.readouterr()
    Path("params.yaml").write_text(printed.out)
    *told, validate, launch = printed.err.splitlines()
    assert told == [
        "left out: good.yaml:5: zone: launch has no such flag",
        "left out: good.yaml:9: avroTempDirectory: objects appear whole, without temporary ones",
        "then:",
    ]
    assert shlex.split(validate)[:3] == shlex.split(launch)[:3] == ["python", "-m", "templates"]
    assert main(_filled_in(validate)) == 0
    assert main([*_filled_in(launch), "--dry_run"]) == 0
    _, _, body = capsys.readouterr().out.partition("\n{")
    request = json.loads("{" + body)
    assert request["launchParameter"]["environment"] == {"maxWorkers": 4}
    assert request["launchParameter"]["parameters"]["window"] == "fixed:5m"


def test_a_job_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    """To a file that is not there yet, and named in the commands."""
    assert main(["import-google", "good.yaml", "--output", "my params.yaml"]) == 0
    printed = capsys.readouterr()
    assert printed.out == "my params.yaml\n"
    assert "--params 'my params.yaml'" in printed.err
    before = Path("my params.yaml").read_text()
    assert "output: gs://my-bucket/flights\n" in before
    assert main(["import-google", "good.yaml", "--output", "my params.yaml"]) == 2
    assert "--output='my params.yaml': exists already" in capsys.readouterr().err
    assert Path("my params.yaml").read_text() == before
    assert main(["import-google", "good.yaml", "--output", "none/params.yaml"]) == 2
    assert "--output='none/params.yaml': can't be written (No such" in capsys.readouterr().err


def test_what_is_lost_stops_it(capsys: pytest.CaptureFixture[str]) -> None:
    """Each with file and line; nothing is written, unless a part will do."""
    argv = ["import-google", "bad.yaml", "--output", "params.yaml"]
    assert main(argv) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    errors = [line for line in printed.err.splitlines() if line.startswith("error: ")]
    assert [line.split(": ")[1:3] for line in errors] == [
        ["bad.yaml:11", "windowDuraton='5m'"], ["bad.yaml:10", "outputFilenamePrefix='a/b-'"],
    ]  # fmt: skip
    assert not Path("params.yaml").exists()
    assert main([*argv, "--partial"]) == 0
    assert "lost: bad.yaml:10: outputFilenamePrefix" in capsys.readouterr().err
    assert "outputFilenamePrefix='a/b-': can't be carried" in Path("params.yaml").read_text()


def test_what_is_open_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """The job does not start before; the check finds nothing else."""
    assert main(["import-google", str(ROOT / "examples/google/flags.yaml")]) == 0
    printed = capsys.readouterr()
    assert "open: schema: " in printed.err
    assert "bq show --schema --format=prettyjson 'test-project:flights.departures'" in printed.err
    Path("params.yaml").write_text(printed.out)
    assert main(["validate", "pubsub_to_bigquery", "--params", "params.yaml"]) == 2
    [error] = capsys.readouterr().err.splitlines()
    assert "params.yaml: schema: is required" in error


@pytest.mark.parametrize(
    ("argv", "rule"),
    [
        (["none.yaml"], "FILE='none.yaml': can't be read"),
        (["good.yaml", "--template", "Cloud_PubSub_to_Redis"], "_Redis': has no equivalent"),
        (["good.yaml", "--template", "X"], "is no template of Google's"),
    ],
)  # fmt: skip
def test_a_mistake_is_an_error(
    argv: list[str], rule: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of exit code 2, in a line."""
    assert main(["import-google", *argv]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert rule in printed.err
    assert len(printed.err.splitlines()) == 1


def test_a_name_that_is_computed_is_open(capsys: pytest.CaptureFixture[str]) -> None:
    """The parameter file does not hold it; an unknown parameter is an error there too."""
    good = (
        'gcloud dataflow flex-template run "f-$(date)" --gcs-location gs://t/Cloud_PubSub_to_Avro'
        " --parameters \\\ninputTopic=projects/p/topics/t,\\\noutputDirectory=gs://b/f/"
    )
    Path("good.sh").write_text(good)
    assert main(["import-google", "good.sh"]) == 0
    told = capsys.readouterr().err
    assert "then, with a JOB_NAME of yours" in told
    assert "--job_name=JOB_NAME" in told
    Path("bad.sh").write_text(good + ",\\\nbogus=1")
    assert main(["import-google", "bad.sh"]) == 2
    assert "bogus='1': is no parameter" in capsys.readouterr().err
