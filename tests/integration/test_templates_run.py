"""``python -m templates run``: a parameter file becomes a lake, with nothing else started."""

import json
import re
import shlex
import signal
import socket
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pyarrow.dataset as ds
import pytest

from templates.command import main
from tests.commands import ROOT
from tests.processes import python, wait_until

pytestmark = pytest.mark.integration

COMMAND = "python -m templates run pubsub_to_lake --params examples/flights.yaml --broker=embedded"
LIMIT_S = 120
COUNT = 3_000


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder in which the commands of the README work, and leave what they write."""
    for name in ("examples", "pipelines"):
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


def rows(folder: Path) -> list[dict]:
    files = sorted(folder.rglob("*.parquet"))
    return ds.dataset(files).to_table().to_pylist() if files else []


def answers(address: str) -> bool:
    host, port = address.split(":")
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) == 0


def start(command: str, clone: Path, log: Path) -> subprocess.Popen[str]:
    with log.open("w") as output:
        return python(*shlex.split(command)[1:], cwd=clone, stdout=output, stderr=output)


def sample() -> Iterator[str | None]:
    """Yield the id of each flight of the example, None for what can't be parsed."""
    for line in (ROOT / "examples" / "flights.messages.jsonl").read_bytes().splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            row = {}
        numbers = (row.get(name, 0) for name in ("flight", "dep_delay", "distance"))
        is_good = bool(row) and not any(isinstance(each, str) for each in numbers)
        yield row["event_id"] if is_good else None


def test_the_command_of_the_readme_fills_a_lake(clone: Path) -> None:
    """Every flight is there once; after SIGTERM neither job nor broker is left.

    Started again it goes on: nothing is published or written twice.
    """
    assert f"$ {COMMAND}\n" in (ROOT / "README.md").read_text()
    ids = list(sample())
    expected = set(ids) - {None}
    lake, dead, log = (
        clone / "headrace-run/lake",
        clone / "headrace-run/dead_letters",
        clone / "log",
    )

    def is_done() -> bool:
        return len(rows(lake)) >= len(expected) and len(rows(dead)) >= ids.count(None)

    process = start(COMMAND, clone, log)
    try:
        wait_until(lambda: is_done() or process.poll() is not None, LIMIT_S)
        process.send_signal(signal.SIGTERM)
        assert process.wait(LIMIT_S) == 0, log.read_text()
    finally:
        process.kill()
    said = log.read_text()
    assert Counter(row["event_id"] for row in rows(lake)) == Counter(expected), said
    assert len(rows(dead)) == ids.count(None)
    assert f"{len(ids) - len(expected) - ids.count(None)} dup" in said
    address = re.search(r"PUBSUB_EMULATOR_HOST=(\S+)", said)
    assert address
    assert not answers(address[1])

    again = start(f"{COMMAND} --max_seconds=1s", clone, log)
    assert again.wait(LIMIT_S) == 0, log.read_text()
    assert "published" not in log.read_text()
    assert len(rows(lake)) == len(expected)


def test_a_killed_job_goes_on_by_the_same_command(clone: Path) -> None:
    """Its broker ends with it, so that the folder and the port are free."""
    log = clone / "log"
    process = start(COMMAND, clone, log)
    try:
        wait_until(lambda: "published" in log.read_text(), LIMIT_S)
    finally:
        process.kill()
        process.wait()
    address = re.search(r"PUBSUB_EMULATOR_HOST=(\S+)", log.read_text())
    assert address
    wait_until(lambda: not answers(address[1]), LIMIT_S)
    again = start(f"{COMMAND} --max_seconds=4s --on_stop=drain", clone, log)
    assert again.wait(LIMIT_S) == 0, log.read_text()
    assert len(rows(clone / "headrace-run/lake")) == len(set(sample()) - {None})


def test_flags_are_judged_before_anything_is_published(
    clone: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """As the files are."""
    monkeypatch.chdir(clone)
    assert main([*shlex.split(COMMAND)[3:], "--windw=1h"]) == 2
    said = capfd.readouterr()
    assert "error: --windw='1h': is not a known flag. Did you mean --window?" in said.err
    assert "broker" not in said.out
    assert not (clone / "headrace-run").exists()


def test_messages_of_a_file_are_taken_to_the_last(tmp_path: Path) -> None:
    """Overlays, a variable, a list, and a run that ends by itself when it has read everything."""
    flights = [
        {"id": f"f{number}", "at": f"2026-01-01T{number % 24:02}:00:00Z"} for number in range(COUNT)
    ]
    lines = [json.dumps(each) for each in [*flights, *flights[:50]]] + ["no JSON"]
    (tmp_path / "messages.jsonl").write_text("\n".join(lines))
    columns = [{"name": "id", "type": "STRING"}, {"name": "at", "type": "TIMESTAMP"}]
    (tmp_path / "schema.json").write_text(json.dumps(columns))
    (tmp_path / "base.yaml").write_text(
        "subscription: projects/demo/subscriptions/flights\nschema: schema.json\nevent-time: at\n"
        "dedup_by: [id]\noutput: ./wrong\ndead_letter: ./dead\n"
    )
    (tmp_path / "over.json").write_text('{"output": "${env:LAKE}/lake", "window": "1d"}')
    process = python(
        "-m", "templates", "run", "pubsub-to-lake", "--params", "base.yaml", "--params",
        "over.json", "--broker=embedded", "--runner=direct", "--messages=messages.jsonl",
        cwd=tmp_path, environment={"LAKE": "./there"},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    said, _ = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 0, said
    assert sorted(row["id"] for row in rows(tmp_path / "there" / "lake")) == sorted(
        each["id"] for each in flights
    )
    assert len(rows(tmp_path / "dead")) == 1
    assert not (tmp_path / "wrong").exists()


def test_a_broker_that_can_not_start_is_a_failure(
    clone: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The exit code is 2, the reason is told, and no job was begun."""
    monkeypatch.chdir(clone)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main([*shlex.split(COMMAND)[3:], f"--port={port}"]) == 2
    said = capfd.readouterr().err
    assert f"error: --port: 127.0.0.1:{port} can't be listened on" in said
    assert "error: broker='headrace-run/pubsub_to_lake/broker/data': did not start" in said
    assert "Traceback" not in said
    assert not (clone / "headrace-run" / "lake").exists()


def test_what_ends_is_run_to_its_end(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A compaction, which commits as a whole, needs no word about the runner."""
    (tmp_path / "lake").mkdir()
    params = tmp_path / "params.yaml"
    params.write_text(f"lake: {tmp_path}/lake\nfile_bytes: 1000\n")
    assert main(["run", "lake-compact", "--params", str(params)]) == 0, capfd.readouterr().err
    assert main(["run", "lake-compact", "--params", str(params), "--runner=local"]) == 2
    assert "only a bounded run can" in capfd.readouterr().err
