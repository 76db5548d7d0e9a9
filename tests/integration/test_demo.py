"""The demo, shortened: everything is accounted for, also after Ctrl-C and another start."""

import os
import re
import signal
import subprocess
from pathlib import Path

import pytest

from tests.processes import python, wait_until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]

LIMIT_S = 120
PUBLISHED = re.compile(r"([\d,]+) published .* ([\d,]+) rows in")


def start(folder: Path, *more: str) -> subprocess.Popen[str]:
    """Start the demo with its output in a file beside its folder."""
    with folder.with_suffix(".out").open("a") as output:
        return python(
            "-m", "pipelines.demo", f"--output={folder}", "--flights=8000", *more,
            stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip


def output_of(folder: Path) -> str:
    return folder.with_suffix(".out").read_text()


def finish(process: subprocess.Popen[str], folder: Path) -> str:
    """Wait for its end; return what it said since its start."""
    try:
        assert process.wait(LIMIT_S) == 0, output_of(folder)
    finally:
        end(process)
    return output_of(folder)


def end(process: subprocess.Popen[str]) -> None:
    """End the demo if it still runs: by a signal that lets it end its own processes."""
    process.terminate()
    try:
        process.wait(30)
    finally:
        process.kill()
        process.wait()


def test_everything_is_accounted_for(tmp_path: Path) -> None:
    """With a kill in the middle, each message is a row, a duplicate or a dead letter, once."""
    text = finish(start(tmp_path / "demo", "--seconds=6"), tmp_path / "demo")
    assert "kill -9 of the pipeline" in text
    assert "every message is accounted for" in text
    assert (tmp_path / "demo" / "delays.png").is_file()
    log = (tmp_path / "demo" / "pipeline.log").read_text()
    assert "begins; its state is in" in log
    assert "drained" in log


def test_interrupted_demo_goes_on(tmp_path: Path) -> None:
    """Ctrl-C ends it with the exit code of a shell; the next start goes on to the same end."""
    folder = tmp_path / "demo"
    process = start(folder, "--seconds=12")
    try:
        wait_until(lambda: bool(PUBLISHED.search(output_of(folder))), 60)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 128 + signal.SIGINT, output_of(folder)
    finally:
        end(process)
    assert "start the demo again and it goes on" in output_of(folder)
    text = finish(start(folder, "--seconds=5"), folder)
    assert "the interrupted demo goes on" in text
    assert "every message is accounted for" in text
    assert "NOT RECONCILED" not in text


def test_finished_demo_starts_afresh(tmp_path: Path) -> None:
    """A demo that came to its end leaves nothing for the next one but its folder."""
    folder = tmp_path / "demo"
    for _ in range(2):
        text = finish(start(folder, "--seconds=3"), folder)
    assert "goes on" not in text
    assert text.count("every message is accounted for") == 2


def test_foreign_folder_is_left_alone(tmp_path: Path) -> None:
    """A folder that holds something else is neither emptied nor used."""
    folder = tmp_path / "demo"
    folder.mkdir()
    (folder / "thesis.tex").write_text("years of work")
    process = start(folder)
    try:
        assert process.wait(LIMIT_S) == 2
    finally:
        end(process)
    assert os.listdir(folder) == ["thesis.tex"]
