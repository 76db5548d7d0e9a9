"""What a process tree used, phase by phase."""

import sys
from pathlib import Path

import pytest

from benchmarks.measure import EngineError, measure

PAUSE = """
import subprocess, sys, time
def pause(word):
    print(word, flush=True)
    sys.stdin.readline()
def burn(cpu_s):
    end = time.process_time() + cpu_s
    while time.process_time() < end: pass
"""
BURN_IN_CHILD = (
    PAUSE
    + """
pause("imported")
burn(0.3)
pause("prepared")
code = "import time\\nwhile time.process_time() < 0.5: pass"
subprocess.run([sys.executable, "-c", code])
pause("finished")
"""
)


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_each_phase_is_charged_its_own_time(tmp_path: Path) -> None:
    """Work is charged the time of its child process, and not that of the preparation."""
    usage = measure(python(BURN_IN_CHILD), {}, tmp_path / "log", limit_s=60)
    assert usage.preparation.cpu_s >= 0.25
    assert usage.work.cpu_s >= 0.45
    assert usage.work.wall_s >= 0.45
    assert usage.rss_bytes_max > 1_000_000


def test_failure_says_why(tmp_path: Path) -> None:
    """An engine that ends early is reported with the last line of its log."""
    code = PAUSE + "pause('imported'); sys.exit('the disk is full')"
    with pytest.raises(EngineError, match=r"ended before it was prepared: the disk is full"):
        measure(python(code), {}, tmp_path / "log", limit_s=60)


def test_endless_engine_is_ended(tmp_path: Path) -> None:
    """An engine that takes too long is killed and reported."""
    with pytest.raises(EngineError, match=r"not imported after 0\.5 s"):
        measure(python("import time; time.sleep(600)"), {}, tmp_path / "log", limit_s=0.5)
