"""What the console shows while the flights stream: the lake grows, and survives a kill."""

from __future__ import annotations

import time
from pathlib import Path

import pyarrow.parquet as pq
from rich.console import Console

from pipelines.demo.job import Job
from pipelines.demo.replay import Replay
from transforms.errors import PermanentError

__all__ = ["LakeFiles", "Show"]

STATUS_S = 2.5
POLL_S = 0.1
CATCH_UP_S = 120.0
"""How long after the last message the pipeline may still read."""


class LakeFiles:
    """The files of a lake that are there so far; each is opened once."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._rows: dict[Path, int] = {}

    def look(self) -> None:
        """Take note of the files that are new."""
        for path in self._folder.glob("*/*.parquet"):
            if path not in self._rows:
                self._rows[path] = pq.read_metadata(path).num_rows

    @property
    def count(self) -> int:
        """How many files there are."""
        return len(self._rows)

    @property
    def rows(self) -> int:
        """How many rows they hold."""
        return sum(self._rows.values())

    @property
    def last_day(self) -> str:
        """The day of the latest window, whose start a file's name begins with."""
        start = max((path.name for path in self._rows), default="")[:8]
        return f"{start[:4]}-{start[4:6]}-{start[6:]}" if start else "-"


class Show:
    """Watches a replay and the pipeline that takes it in, and kills the pipeline once.

    Args:
        console: where it is shown.
        job: the pipeline, which runs.
        replay: which runs, too.
        total: how many messages there are.
        lake: folder of the pipeline's output.
        was_killed: whether the pipeline was killed in an earlier start of the demo.
    """

    def __init__(
        self,
        console: Console,
        job: Job,
        replay: Replay,
        *,
        total: int,
        lake: Path,
        was_killed: bool,
    ) -> None:
        self.was_killed = was_killed
        self._console = console
        self._job = job
        self._replay = replay
        self._total = total
        self._files = LakeFiles(lake)
        self._began_s = time.monotonic()

    def until_all_is_read(self) -> None:
        """Show the status until the pipeline has read, and committed, all messages.

        Raises:
            PermanentError: the pipeline or the replay has ended, or hangs.
        """
        status_s = self._began_s
        finished_s = None
        while self._job.counts().read < self._total:
            self._check()
            if not self.was_killed and self._replay.published > self._total // 2:
                self._kill()
            now_s = time.monotonic()
            if now_s - status_s >= STATUS_S:
                status_s = now_s
                self.status()
            if self._replay.finished:
                finished_s = finished_s or now_s
                if now_s - finished_s > CATCH_UP_S:
                    raise PermanentError(f"after {CATCH_UP_S:g} s messages are still unread")
            time.sleep(POLL_S)

    def status(self) -> None:
        """Show how far publishing, reading and the lake have come."""
        self._files.look()
        files = self._files
        self._console.print(
            f"{time.monotonic() - self._began_s:7.1f} s  {self._replay.published:>9,} published"
            f"  {self._job.counts().read:>9,} read  {files.rows:>9,} rows in {files.count:>3} files"
            f"  until {files.last_day}"
        )

    def _check(self) -> None:
        self._job.check()
        if self._replay.error is not None:
            raise PermanentError(f"publishing failed: {self._replay.error}")

    def _kill(self) -> None:
        self.was_killed = True
        self._job.kill()
        self._console.print(
            "           [bold]kill -9[/] of the pipeline, and the same command again"
        )
        self._job.start()
