"""Which files of a lake were merged into others: whoever writes one of them again must know.

A job without end that was killed writes its last files again when it goes on. If their rows are in
a larger file by then, they would be in the lake twice. So each file that is merged leaves a mark:

    .flights.headrace/compacted/2026-01/0f3c...     named by a hash of the file's path in the lake

Marks are kept by month, and for a whole month at least: no job may stay away for longer.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import posixpath
from collections.abc import Callable, Sequence

from connectors.store import Store, mark

__all__ = ["Compacted"]


class Compacted:
    """The marks of one lake.

    Args:
        store: where the lake is.
        root: the lake's folder.
        state: the folder of its state.
        today: tells the date, UTC.
    """

    def __init__(
        self, store: Store, root: str, state: str, today: Callable[[], dt.date] | None = None
    ) -> None:
        self._store = store
        self._root = root
        self._folder = posixpath.join(state, "compacted")
        self._today = today or _today

    def add(self, paths: Sequence[str]) -> None:
        """Mark files, durably; safe to repeat."""
        if not paths:
            return
        folder = posixpath.join(self._folder, self._months()[0])
        self._store.make_folder(folder)
        for path in paths:
            mark(self._store, posixpath.join(folder, self._name(path)))

    def find(self, paths: Sequence[str]) -> set[str]:
        """Return those of the files that are marked."""
        if not paths:
            return set()
        places = {
            posixpath.join(self._folder, month, self._name(path)): path
            for path in paths
            for month in self._months()
        }
        return {places[place] for place in self._store.present(list(places))}

    def expire(self) -> None:
        """Drop the marks that are older than the last month."""
        for month in self._store.names(self._folder):
            if month not in self._months():
                self._store.remove_folder(posixpath.join(self._folder, month))

    def _months(self) -> tuple[str, str]:
        """Return this month and the last."""
        today = self._today()
        last = today.replace(day=1) - dt.timedelta(days=1)
        return f"{today:%Y-%m}", f"{last:%Y-%m}"

    def _name(self, path: str) -> str:
        name = posixpath.relpath(path, self._root)
        return hashlib.blake2b(name.encode(), digest_size=16).hexdigest()


def _today() -> dt.date:
    return dt.datetime.now(dt.timezone.utc).date()
