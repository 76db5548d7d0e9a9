"""The command: what it prints, and its exit codes."""

import json
from pathlib import Path

import pytest

from templates.catalogue import TEMPLATES
from templates.command import main
from templates.derived import generate
from templates.home.running import sample_beside
from tests.commands import ROOT

FLIGHTS = "examples/flights.yaml"
CLOUD = ["--params", FLIGHTS, "--params", "examples/flights.dataflow.yaml"]


@pytest.fixture(autouse=True)
def root(monkeypatch: pytest.MonkeyPatch) -> None:
    """Paths of parameters are those of the current folder."""
    monkeypatch.chdir(ROOT)


def test_list_names_every_template(capsys: pytest.CaptureFixture[str]) -> None:
    """By category, with a title."""
    assert main(["list"]) == 0
    printed = capsys.readouterr().out
    for template in TEMPLATES:
        assert f"  {template.name} " in printed
        assert template.title in printed


def test_describe_tells_all_about_one(capsys: pytest.CaptureFixture[str]) -> None:
    """Requirements, parameters with their rules, and the metadata if asked."""
    assert main(["describe", "pubsub-to-lake"]) == 0
    printed = capsys.readouterr().out
    assert "PubSub_to_Lake" in printed
    assert "--partition_by LEVELS" in printed
    assert "Requirements:" in printed
    assert main(["describe", "PubSub_to_Lake", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["streaming"] is True


def test_validate_accepts_the_example(capsys: pytest.CaptureFixture[str]) -> None:
    """And says how much of it counted."""
    assert main(["validate", "pubsub-to-lake", "--params", FLIGHTS]) == 0
    assert "good for pubsub_to_lake, with 11 parameters" in capsys.readouterr().out


def test_validate_needs_no_credentials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What lies on Cloud Storage is left unread; a bad file of credentials is a mistake, though."""
    for name in ("GOOGLE_APPLICATION_CREDENTIALS", "STORAGE_EMULATOR_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    over = tmp_path / "cloud.yaml"
    over.write_text("schema: gs://my-bucket/flights.json\n")
    argv = ["validate", "pubsub_to_lake", "--params", FLIGHTS, "--params", str(over)]
    assert main(argv) == 0
    note = "note: schema names an object that was not read: there are no credentials here"
    assert note in capsys.readouterr().out
    assert main(["render", *argv[1:], "--as", "argv"]) == 2
    printed = capsys.readouterr().err
    rule = "schema='gs://my-bucket/flights.json': there are no credentials for https://storage"
    assert f"{over}:1: {rule}" in printed
    assert "gcloud auth application-default login, or set STORAGE_EMULATOR_HOST" in printed
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", f"{tmp_path}/none.json")
    assert main(argv) == 2
    assert "none.json' gives no credentials for" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["validate", "render", "run"])
def test_a_mistake_stops_every_command(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, each error on a line of its own, and nothing was made."""
    bad = tmp_path / "bad.yaml"
    bad.write_text("window: 5x\nshards: none\n")
    more = {"render": ["--as", "argv"], "run": [f"--job_dir={tmp_path}/job"]}.get(command, [])
    argv = [command, "pubsub_to_lake", "--params", FLIGHTS, "--params", str(bad), *more]
    assert main(argv) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    lines = printed.err.splitlines()
    assert [line.split(": ")[1] for line in lines] == [f"{bad}:1", f"{bad}:2"]
    assert not (tmp_path / "job").exists()


@pytest.mark.parametrize(
    "argv",
    [
        [],
        ["nonsense"],
        ["list", "more"],
        ["validate", "pubsub_to_lake"],
        ["validate", "pubsub_to_lake", "--params", FLIGHTS, "--window=5m"],
        ["render", "pubsub_to_lake", "--params", FLIGHTS, "--as", "xml"],
        ["run", "pubsub_to_lake", "--params", FLIGHTS, "--broker=kafka"],
    ],
)
def test_a_wrong_command_line_is_a_mistake(
    argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, with the usage."""
    with pytest.raises(SystemExit) as caught:
        main(argv)
    assert caught.value.code == 2
    assert "usage: python -m templates" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "error"),
    [
        (["describe", "nothing"], "there is no template of that name"),
        (["validate", "pubsub_to_lake", "--params", "none.yaml"], "can't be read"),
        (["render", "pubsub_to_lake", *CLOUD, "--as", "rest"], "--spec"),
        (["render", "pubsub_to_lake", *CLOUD[:2], "--as", "rest"], "names a place on this machine"),
        (
            ["run", "pubsub_to_lake", "--params", FLIGHTS, "--messages", FLIGHTS],
            "are for the embedded broker",
        ),
        (["run", "pubsub_to_lake", "--params", FLIGHTS, "--windw=5m"], "Did you mean --window?"),
    ],
)
def test_what_can_not_be_done_is_told(
    argv: list[str], error: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 2, with the reason."""
    assert main(argv) == 2
    assert error in capsys.readouterr().err


def test_messages_need_a_subscription(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A topic's temporary subscription would begin after them."""
    over = tmp_path / "over.yaml"
    over.write_text("subscription: null\ntopic: projects/demo/topics/flights\n")
    files = ["--params", FLIGHTS, "--params", str(over), "--job_dir", str(tmp_path / "job")]
    argv = ["run", "pubsub_to_lake", *files, "--broker=embedded", "--messages", FLIGHTS]
    assert main(argv) == 2
    assert "are for the parameter subscription, and there is none" in capsys.readouterr().err
    assert not (tmp_path / "job").exists()


def test_a_secret_is_not_rendered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It would stand in the request, and in the job that everybody may look at."""
    over = tmp_path / "secret.yaml"
    over.write_text("table_format: iceberg\ncatalog: ${secret:projects/p/secrets/s}\n")
    files = ["--params", FLIGHTS, "--params", str(over)]
    assert main(["render", "pubsub_to_lake", *files, "--as", "argv"]) == 2
    assert "catalog: has a secret" in capsys.readouterr().err
    assert main(["validate", "pubsub_to_lake", *files]) == 0
    assert "note: catalog has a secret" in capsys.readouterr().out


def test_diff_prints_what_differs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 1 as diff's, 0 for the same values in another form."""
    old, new, same = (tmp_path / name for name in ("old.yaml", "new.yaml", "same.json"))
    old.write_text("output: ./lake\nshards: 1\nwindow: 1h\n")
    new.write_text("output: ./lake\nshards: '1'\ndead-letter: ./dead\n")
    same.write_text('{"window": "1h", "shards": 1, "output": "./lake"}')
    assert main(["diff", str(old), str(new)]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "- shards: 1", '+ shards: "1"', '- window: "1h"', '+ dead_letter: "./dead"',
    ]  # fmt: skip
    assert main(["diff", str(old), str(same)]) == 0
    assert capsys.readouterr().out == ""
    assert main(["diff", str(old), str(tmp_path / "none")]) == 2


def test_check_of_what_is_generated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1 and the paths, if anything is stale."""
    assert main(["generate", "--check"]) == 0
    monkeypatch.setattr(generate.stale, "__defaults__", (tmp_path,))
    assert main(["generate", "--check"]) == 1
    assert "metadata.json; run python -m templates generate" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_messages_beside_a_file_are_found(tmp_path: Path) -> None:
    """Those of the last file that has any."""
    base, over = tmp_path / "base.yaml", tmp_path / "over.yaml"
    assert sample_beside([base, over]) is None
    beside = tmp_path / "base.messages.jsonl"
    beside.write_text("{}\n")
    assert sample_beside([base, over]) == beside
