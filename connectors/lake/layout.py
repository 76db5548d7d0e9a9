"""Names in the lake: the folders of Hive partitions and the names of files. Pure functions.

    carrier=UA/date=2013-01-01/20130101T050000_20130101T060000-pane0-00000-of-00001-RUN.parquet

A name tells window, pane, shard and the run or job that wrote it, and nothing else: on a runner
without end, whoever writes the same pane again writes the same name.
"""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from transforms.errors import PermanentError

__all__ = [
    "NULL",
    "PaneName",
    "escape",
    "file_name",
    "folder_part",
    "job_text",
    "parts",
    "shards",
    "time_text",
]

NULL = "__HIVE_DEFAULT_PARTITION__"
"""Stands for null, and as in Hive for the empty string: Spark refuses a folder ``carrier=``."""

_ESCAPED = re.compile(r"[\x00-\x1f\x7f\"#%'*/:=?\\{}\[\]^]")
"""What Hive writes as ``%XX`` in a folder name; the closing brace for symmetry."""
_NAME_BYTES_MAX = 255
_UNIX = dt.datetime(1970, 1, 1)


def escape(text: str) -> str:
    """Return a text as Hive writes it in a folder name; ``urllib.parse.unquote`` reverts it."""
    return _ESCAPED.sub(lambda found: f"%{ord(found.group()):02X}", text)


def folder_part(name: str, value: str | None) -> str:
    """Return ``name=value`` as a folder.

    Raises:
        PermanentError: the name would be longer than file systems allow.
    """
    part = f"{escape(name)}={escape(value) if value else NULL}"
    if len(part.encode()) > _NAME_BYTES_MAX:
        raise PermanentError(
            f"a partition value of {name} makes a folder name of more than {_NAME_BYTES_MAX} bytes "
            f"({part[:60]}...). Partition by a column with shorter values."
        )
    return part


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
    """Return the name of the file that holds one shard of a pane.

    Args:
        pane: window and pane.
        shard: from 0 to ``total`` - 1.
        total: number of shards of the pane.
        job: the run, or the job if it runs without end.
    """
    return f"{pane}-{_shard(shard, total)}-{job}.parquet"


def parts(paths: Sequence[str]) -> list[str]:
    """Return the paths, where a second file of one path becomes ``-part1`` and so on."""
    seen: Counter[str] = Counter()
    named = []
    for path in paths:
        stem = path.removesuffix(".parquet")
        named.append(f"{stem}-part{seen[path]}.parquet" if seen[path] else path)
        seen[path] += 1
    return named


def shards(panes: Sequence[str], job: str) -> list[str]:
    """Return the path of each file, given that of its pane: files of one pane are its shards."""
    total, seen = Counter(panes), Counter[str]()
    named = []
    for pane in panes:
        named.append(f"{pane}-{_shard(seen[pane], total[pane])}-{job}.parquet")
        seen[pane] += 1
    return named


def _shard(number: int, total: int) -> str:
    return f"{number:05d}-of-{total:05d}"
