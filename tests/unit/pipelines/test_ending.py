"""The process ends with the exit code that was meant, whatever its threads do."""

import signal
import subprocess

import pytest

from tests.processes import python

LIMIT_S = 60.0


def ended(code: str) -> subprocess.CompletedProcess[str]:
    """Run a program to its end."""
    process = python("-c", code, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, err = process.communicate(timeout=LIMIT_S)
    return subprocess.CompletedProcess(code, process.returncode, out, err)


WORK = """
import atexit, logging, threading, time
from pipelines.ending import end_with

def run():
    atexit.register(print, "tidied up")
    threading.Thread(target=lambda: (time.sleep(0.2), print("waited for"))).start()
    print("done")
    return 7

end_with(run)
"""


def test_all_is_tidied_up() -> None:
    """Threads that are no daemons end, then come the callbacks, and nothing printed is lost."""
    process = ended(WORK)
    assert process.returncode == 7
    assert process.stdout.split("\n") == ["done", "waited for", "tidied up", ""]
    assert process.stderr == ""


def test_what_is_raised_is_seen() -> None:
    """An error of ours is shown as always, and the process has failed."""
    process = ended("from pipelines.ending import end_with; end_with(lambda: 1 // 0)")
    assert process.returncode == 1
    assert "ZeroDivisionError" in process.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_step_at_work_does_not_abort_the_process(number: int) -> None:
    """A thread in the middle of Rust code, which Python can't end, is no reason to abort."""
    process = python(
        "-c", "from pipelines.launch import main; main('tests.decoding_job')",
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "decoding\n"
    process.send_signal(number)
    _, log = process.communicate(timeout=LIMIT_S)
    assert process.returncode == 128 + number, log
    assert f"stopped by {signal.Signals(number).name}" in log
