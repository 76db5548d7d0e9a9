"""Folders by the start of the window: a template with parts of the date.

%Y/%m/%d/%H                      2026/01/31/09
dt=%Y-%m-%d/hour=%H              dt=2026-01-31/hour=09
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from connectors.files.layout import PaneName
from transforms.batch import Batch
from transforms.errors import ConfigError, PermanentError

__all__ = ["PARTS", "TimeFolders"]

PARTS: dict[str, Callable[[dt.datetime], str]] = {
    "%Y": lambda time: f"{time.year:04d}",
    "%m": lambda time: f"{time.month:02d}",
    "%d": lambda time: f"{time.day:02d}",
    "%H": lambda time: f"{time.hour:02d}",
    "%M": lambda time: f"{time.minute:02d}",
    "%S": lambda time: f"{time.second:02d}",
    "%j": lambda time: f"{time.timetuple().tm_yday:03d}",
}
"""Parts of a template, as of ``strftime``: those that sort, and mean the same everywhere."""

_PART = re.compile(r"%.?", re.DOTALL)
_UNIX = dt.datetime(1970, 1, 1)


@dataclass(frozen=True)
class TimeFolders:
    """The folder of a window, below the root.

    Attributes:
        template: text with ``PARTS`` of the window's start, UTC; empty for the root itself.

    Raises:
        ConfigError: the template has an unknown part, or leaves the root.
    """

    template: str = ""

    def __post_init__(self) -> None:
        unknown = [part for part in _PART.findall(self.template) if part not in PARTS]
        if unknown:
            raise self._refused(f"has the unknown part {unknown[0]}", f"Use {', '.join(PARTS)}")
        if self.template:
            names = self.template.split("/")
            if any(name in ("", ".", "..") or name[0] in "._" for name in names):
                raise self._refused(
                    "must be names between single slashes, none beginning with a dot or underscore",
                    "Write for example %Y/%m/%d/%H",
                )

    @property
    def by_time(self) -> bool:
        """Whether the folder depends on the window."""
        return "%" in self.template

    def split(self, batch: Batch, pane: PaneName) -> Iterator[tuple[str, Batch]]:
        """Yield the folder of the window, and the batch."""
        yield self.folder(pane.window_us), batch

    def folder(self, window_us: tuple[int, int] | None) -> str:
        """Return the folder of a window.

        Raises:
            PermanentError: the window has no start that a calendar knows.
        """
        if not self.by_time:
            return self.template
        try:
            start = _UNIX + dt.timedelta(microseconds=window_us[0]) if window_us else None
        except OverflowError:
            start = None
        if start is None:
            raise PermanentError(
                f"folders={self.template!r} wants a window with a start between the years 1 and "
                f"9999, and rows came in {window_us}. Window them by their event time before."
            )
        return _PART.sub(lambda part: PARTS[part.group()](start), self.template)

    def _refused(self, rule: str, fix: str) -> ConfigError:
        return ConfigError("folders", self.template, rule, fix)
