"""Names of files: window, pane, shard, and the run or job that wrote them. Pure functions.

    20130101T050000_20130101T060000-pane0-00000-of-00001-RUN.parquet

A name tells nothing else, so that on a runner without end whoever writes the same pane again
writes the same name.
"""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["PaneName", "file_name", "job_text", "parts", "shards", "time_text"]

_UNIX = dt.datetime(1970, 1, 1)


def time_text(time_us: int) -> str:
    """Return a time in microseconds since 1970, UTC, in a form that sorts by time."""
    try:
        time = _UNIX + dt.timedelta(microseconds=time_us)
    except OverflowError:
        return f"{time_us}us"
    fraction = f".{time.microsecond:06d}" if time.microsecond else ""
    return f"{time:%Y%m%dT%H%M%S}{fraction}"


def job_text(name: str) -> str:
    """Return a job's name with only the characters that every file system takes."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", name)[:100]


@dataclass(frozen=True)
class PaneName:
    """What tells one pane from another.

    Attributes:
        window_us: start and end in microseconds since 1970; None for the global window.
        index: of the pane within its window.
        late: the pane holds rows that came behind the watermark.
    """

    window_us: tuple[int, int] | None
    index: int
    late: bool

    def __str__(self) -> str:
        window = "_".join(map(time_text, self.window_us)) + "-" if self.window_us else ""
        return f"{window}pane{self.index}{'-late' if self.late else ''}"


def file_name(pane: PaneName, shard: int, total: int, job: str) -> str:
    """Return the name, without suffix, of the file that holds one shard of a pane.

    Args:
        pane: window and pane.
        shard: from 0 to ``total`` - 1.
        total: number of shards of the pane.
        job: the run, or the job if it runs without end.
    """
    return f"{pane}-{_shard(shard, total)}-{job}"


def parts(paths: Sequence[str]) -> list[str]:
    """Return the paths, where a second file of one path becomes ``-part1`` and so on."""
    seen: Counter[str] = Counter()
    named = []
    for path in paths:
        named.append(f"{path}-part{seen[path]}" if seen[path] else path)
        seen[path] += 1
    return named


def shards(panes: Sequence[str], job: str) -> list[str]:
    """Return the path of each file, given that of its pane: files of one pane are its shards."""
    total, seen = Counter(panes), Counter[str]()
    named = []
    for pane in panes:
        named.append(f"{pane}-{_shard(seen[pane], total[pane])}-{job}")
        seen[pane] += 1
    return named


def _shard(number: int, total: int) -> str:
    return f"{number:05d}-of-{total:05d}"
