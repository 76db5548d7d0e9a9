"""The process of the pipeline: started, read, killed and drained."""

from pathlib import Path

import pytest

from pipelines.demo.job import Counts, Job
from transforms.errors import PermanentError

LINE = (
    "2026-11-23 09:21:17,176 headrace: {:,} read  0/s  19,866 written  1,048 dup  18 dead  "
    "epoch 98  watermark 2013-01-24 00:19\n"
)


def job(tmp_path: Path, module: str = "this", *flags: str) -> Job:
    return Job(module, flags, tmp_path / "log")


def test_last_line_counts(tmp_path: Path) -> None:
    """The counts are those of the last line of progress; before there is one, they are zero."""
    (tmp_path / "log").write_text("job x begins\n")
    assert job(tmp_path).counts() == Counts()
    (tmp_path / "log").write_text(LINE.format(7) + LINE.format(21_051) + "drained\n")
    assert job(tmp_path).counts() == Counts(21_051, 19_866, 1_048, 18)


def test_only_the_end_of_a_long_log_is_read(tmp_path: Path) -> None:
    """However long a log is, its last line is found."""
    (tmp_path / "log").write_text(LINE.format(7) * 10_000 + LINE.format(8))
    assert job(tmp_path).counts().read == 8


def test_command_can_be_typed(tmp_path: Path) -> None:
    """The command is shown as a shell takes it."""
    shown = job(tmp_path, "pipelines.x", "--partition_by=month(at)").command
    assert shown == "python -m pipelines.x '--partition_by=month(at)'"


def test_end_by_itself_is_told_with_the_log(tmp_path: Path) -> None:
    """A pipeline that ends while it should run is told with the end of its log."""
    failing = job(tmp_path, "no_such_module")
    with failing:
        assert failing._process is not None
        failing._process.wait(30)
        with pytest.raises(PermanentError, match="No module named no_such_module"):
            failing.check()


def test_drain_that_fails_is_told(tmp_path: Path) -> None:
    """A process that does not end in order did not drain."""
    with job(tmp_path, "timeit", "-n1", "-r1", "import time; time.sleep(60)") as sleeping:
        sleeping.check()
        with pytest.raises(PermanentError, match="did not go on"):
            sleeping.drain()


def test_kill_is_for_good(tmp_path: Path) -> None:
    """After a kill nothing runs, and to kill again is no error."""
    with job(tmp_path, "timeit", "-n1", "-r1", "import time; time.sleep(60)") as sleeping:
        process = sleeping._process
        sleeping.kill()
        sleeping.kill()
    assert process is not None
    assert process.poll() == -9
