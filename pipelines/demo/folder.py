"""The folder of the demo: emptied for a new one, kept for one that was interrupted."""

from __future__ import annotations

import dataclasses
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Interruption", "prepared"]

MARK = ".headrace-demo"


@dataclass(frozen=True)
class Interruption:
    """Where a demo was interrupted.

    Attributes:
        published: how many messages the topic has.
        limit: only so many flights take part, None for all.
        was_killed: whether the pipeline was killed already.
    """

    published: int
    limit: int | None
    was_killed: bool

    def save(self, folder: Path) -> None:
        """Note it in the folder, for the next start."""
        (folder / MARK).write_text(json.dumps(dataclasses.asdict(self)))


def prepared(folder: Path, limit: int | None) -> Interruption | None:
    """Make the folder ready.

    Returns:
        Where an interrupted demo is to go on, or None: the folder is new.

    Raises:
        FileExistsError: it holds something else than a demo.
    """
    mark = folder / MARK
    if folder.exists() and any(folder.iterdir()) and not mark.is_file():
        raise FileExistsError(folder)
    text = mark.read_text() if mark.is_file() else ""
    found = Interruption(**json.loads(text)) if text else None
    if found is None or found.limit != limit:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        found = None
    # From now on until the next interruption in order, it is not known what was published.
    mark.write_text("")
    return found
