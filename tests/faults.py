"""Faults as data: a store that dies at a numbered step, as a process or a whole machine does."""

from __future__ import annotations

import os
import posixpath
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from connectors.local_store import LocalStore
from connectors.store import Lock


class Crash(BaseException):
    """The process is dead: nothing it does from here on has an effect."""


@dataclass
class Fuse:
    """Counts steps, and ends the process at one of them.

    Attributes:
        at: the step that is not done any more; None never ends.
        power: the power fails with it, so that what was not synced is lost.
    """

    at: int | None = None
    power: bool = False
    steps: int = 0
    dead: bool = False
    unsynced: set[str] = field(default_factory=set)
    undo: list[tuple[str, Callable[[], None]]] = field(default_factory=list)
    locks: list[Lock] = field(default_factory=list)

    def burn(self) -> None:
        """Do one step, or die in its place."""
        if not self.dead and self.steps == self.at:
            self.die()
        if self.dead:
            raise Crash
        self.steps += 1

    def die(self) -> None:
        """End the process; tear what was not synced."""
        self.dead = True
        for lock in self.locks:
            lock.release()
        for path in self.unsynced:
            os.truncate(path, os.path.getsize(path) // 2)
        for _, undo in reversed(self.undo if self.power else []):
            undo()


class MortalStore(LocalStore):
    """A local store whose every step may be the last."""

    def __init__(self, fuse: Fuse) -> None:
        self.fuse = fuse

    def make_folder(self, folder: str) -> None:
        if os.path.isdir(folder):
            return
        self.make_folder(posixpath.dirname(folder))
        self.fuse.burn()
        self._undo(folder, lambda: shutil.rmtree(folder, ignore_errors=True))
        super().make_folder(folder)

    def output(self, path: str) -> Any:
        self.fuse.burn()
        self.fuse.unsynced.add(path)
        self._undo(path, lambda: Path(path).unlink(missing_ok=True))
        return super().output(path)

    def sync(self, path: str) -> None:
        self.fuse.burn()
        self.fuse.unsynced.discard(path)

    def sync_folder(self, folder: str) -> None:
        self.fuse.burn()
        self.fuse.undo = [(other, undo) for other, undo in self.fuse.undo if other != folder]

    def rename(self, source: str, target: str) -> None:
        self.fuse.burn()
        old = Path(target).read_bytes() if os.path.exists(target) else None
        super().rename(source, target)
        if source in self.fuse.unsynced:
            self.fuse.unsynced.discard(source)
            self.fuse.unsynced.add(target)
        self._undo(target, lambda: _move_back(source, target, old))

    def remove(self, path: str) -> None:
        self.fuse.burn()
        if os.path.isfile(path):
            content = Path(path).read_bytes()
            self.fuse.unsynced.discard(path)
            self._undo(path, lambda: _put_back(path, content))
        super().remove(path)

    def lock(self, folder: str, wait_s: float = 1.0, holder: str = "") -> Lock | None:
        lock = super().lock(folder, wait_s, holder)
        if lock is not None:
            self.fuse.locks.append(lock)
        return lock

    def _undo(self, path: str, undo: Callable[[], None]) -> None:
        self.fuse.undo.append((posixpath.dirname(path), undo))


def _move_back(source: str, target: str, old: bytes | None) -> None:
    """Undo a rename; if the source's folder is gone for good, the file is lost."""
    if os.path.isdir(posixpath.dirname(source)):
        os.replace(target, source)
    else:
        os.unlink(target)
    if old is not None:
        Path(target).write_bytes(old)


def _put_back(path: str, content: bytes) -> None:
    """Undo a removal, unless that of the folder has reached the disk."""
    if os.path.isdir(posixpath.dirname(path)):
        Path(path).write_bytes(content)
