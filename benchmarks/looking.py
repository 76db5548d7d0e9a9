"""Threads that look at something again and again while a block runs."""

from __future__ import annotations

import abc
import threading
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Looking"]


class Looking(threading.Thread, abc.ABC):
    """Looks until its block ends.

    Args:
        name: of the thread.
        pause_s: between two looks.
    """

    def __init__(self, name: str, pause_s: float) -> None:
        super().__init__(name=name, daemon=True)
        self._pause_s = pause_s
        self._stopped = threading.Event()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopped.set()
        self.join()

    def run(self) -> None:
        """Look again and again."""
        while not self._stopped.wait(self._pause_s):
            self.look()

    @abc.abstractmethod
    def look(self) -> None:
        """Look once."""
