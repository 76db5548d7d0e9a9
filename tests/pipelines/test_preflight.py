"""A start that can't succeed is refused within seconds, by its flag, and leaves nothing behind."""

import logging
import time
from pathlib import Path

import pytest

from connectors.broker import Broker
from pipelines import launch
from pipelines.launch import beam_parser
from pipelines.params import parse_flags
from pipelines.preflight import BIGQUERY, PUBSUB, STORAGE, services
from tests.commands import PIPELINES, ROOT, commands, module_of
from tests.topics import create, subscription, topic

NOWHERE = "127.0.0.1:9"
SUB, TOPIC, GS = subscription("flights"), topic("flights"), "gs://bucket/folder"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder; nobody answers."""
    monkeypatch.chdir(tmp_path)
    for name, address in {
        "PUBSUB_EMULATOR_HOST": NOWHERE,
        "STORAGE_EMULATOR_HOST": f"http://{NOWHERE}",
        "BIGQUERY_EMULATOR_HOST": f"http://{NOWHERE}",
        "BIGQUERY_STORAGE_EMULATOR_HOST": NOWHERE,
    }.items():
        monkeypatch.setenv(name, address)
    return tmp_path


SCHEMA = f"--schema={Path(launch.__file__).parent / 'demo' / 'flights.json'}"
LAKE = [f"--subscription={SUB}", SCHEMA]
LOCAL = ["--runner=local", "--state_dir=./state"]
CASES = {
    "broker": ("pubsub_to_lake", [*LAKE, "--output=./lake", "--dead_letter=./dead"],
               "--subscription=", "PUBSUB_EMULATOR_HOST"),
    "broker, local": ("pubsub_to_lake", [*LAKE, "--output=./lake", "--dead_letter=./dead", *LOCAL],
                      "--subscription=", "PUBSUB_EMULATOR_HOST"),
    "storage": ("lake_compact", [f"--lake={GS}"], f"--lake={GS}", "STORAGE_EMULATOR_HOST"),
    "dead letters": (
        "archive_replay", [f"--archive={GS}", f"--output_topic={TOPIC}", "--dead_letter=./dead"],
        f"--archive={GS}", "STORAGE_EMULATOR_HOST",
    ),
    "dataflow": (
        "pubsub_to_lake",
        [*LAKE, f"--output={GS}", f"--dead_letter={GS}x", "--runner=DataflowRunner", "--project=p"],
        "--runner=DataflowRunner", "STORAGE_EMULATOR_HOST",
    ),
    "table": (
        "deadletter_replay",
        ["--failures=project.data.x", f"--output_topic={TOPIC}", "--dead_letter=./x"],
        "--failures=project", "BIGQUERY_EMULATOR_HOST",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_silence_is_told_by_flag_and_address(
    folder: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """Within about ten seconds, with what to do, and no folder is made."""
    pipeline, argv, flag, variable = CASES[name]
    began_s = time.monotonic()
    assert launch.status(module_of(pipeline), argv) == 1
    assert time.monotonic() - began_s < 12.0
    error = capsys.readouterr().err
    for text in (f"error: {flag}", NOWHERE, variable, "Start it: "):
        assert text in error
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("runner", [[], LOCAL])
@pytest.mark.parametrize(
    "wrong",
    [
        ("--subscription", subscription("gone")),
        ("--dead_letter", topic("gone")),
        ("--output", "./a_file/lake"),
    ],
    ids=lambda wrong: wrong[0] if isinstance(wrong, tuple) else "",
)
def test_refused_start_leaves_no_folder(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
    *,
    wrong: tuple[str, str],
    runner: list[str],
) -> None:
    """Neither lake, dead letters nor state is there when a name is wrong, and no figure is told."""
    with Broker(data_dir=folder.parent / f"{folder.name}-broker") as broker:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", broker.address)
        create("flights")
        (folder / "a_file").write_text("")
        flag, value = wrong
        flags = {
            "--subscription": SUB,
            "--output": "./lake",
            "--dead_letter": "./dead",
            flag: value,
        }
        argv = [f"{name}={text}" for name, text in flags.items()]
        caplog.set_level(logging.INFO)
        assert launch.status(module_of("pubsub_to_lake"), [*argv, SCHEMA, *runner]) == 2
    assert f"error: {flag}=" in capsys.readouterr().err
    assert not [text for text in caplog.messages if " read" in text]
    assert [path.name for path in folder.iterdir()] == ["a_file"]


EXPECTED = {
    "archive_replay": {"--output_topic": PUBSUB},
    "deadletter_replay": {"--output_topic": PUBSUB},
    "lake_compact": {"--lake": STORAGE},
    "pubsub_aggregate": {"--subscription": PUBSUB},
    "pubsub_to_bigquery": {"--subscription": PUBSUB, "--table": BIGQUERY},
    "pubsub_to_lake": {"--subscription": PUBSUB},
    "pubsub_to_pubsub": {"--subscription": PUBSUB, "--output_topic": PUBSUB},
    "pubsub_to_storage": {"--subscription": PUBSUB, "--output": STORAGE},
}


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_flags_tell_their_services(pipeline: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the command of each pipeline names is asked for, and nothing else."""
    monkeypatch.chdir(ROOT)
    params, _ = parse_flags(module_of(pipeline).Params, commands(pipeline)[0], beam_parser())
    assert {spec.flag: service for spec, service in services(params)} == EXPECTED[pipeline]
