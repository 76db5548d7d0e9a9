"""A lock that is an object: whoever made it holds it, as long as it is renewed.

An object store knows no process and no death. So the holder writes the object again and again,
and who finds that nobody has done so for ``LEASE_S`` takes it over. Both are decided by the
generation of the object, so there is never more than one who believes that the write was its own.

A holder that was stopped for longer than that (a suspended laptop, a network that was gone) has
lost the lock and doesn't know yet. Therefore a lock alone protects nothing here: what must happen
once is an object that only one can make (``Store.write_new``), and whoever takes a lock over makes
it in the name of the former holder first. See ``connectors/ledger.py``.

Clocks: the age of the object is judged by this machine's clock against the server's time of the
last write. A clock that is wrong by more than ``LEASE_S`` takes locks from the living, whose runs
then fail and are tried again; it can't make a row appear twice.
"""

from __future__ import annotations

import datetime as dt
import logging
import secrets
import threading
import time
from dataclasses import dataclass
from typing import Protocol

import msgspec

from transforms.errors import HeadraceError

__all__ = ["LEASE_S", "Lease", "Seen", "Slots"]

LEASE_S = 30.0
"""Without a sign of life for so long a holder counts as dead."""
RENEW_S = LEASE_S / 4
_POLL_S = 0.2

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Seen:
    """An object as it was found: its generation, when it was last written, its content."""

    generation: int
    written: dt.datetime
    content: bytes


class Slots(Protocol):
    """Objects that are replaced only if they are still as they were seen."""

    def see(self, path: str) -> Seen | None:
        """Return the object, None if there is none."""

    def replace(self, path: str, content: bytes, generation: int) -> int | None:
        """Write the object if it has this generation, 0 for none; return the new generation.

        None means that it has another, and nothing was written.
        """

    def discard(self, path: str, generation: int) -> None:
        """Delete the object if it has this generation."""


class _Content(msgspec.Struct, frozen=True):
    """``token`` tells one lease from another, even of one holder."""

    holder: str
    token: str
    count: int = 0


class Lease:
    """A lock that is held, and renewed by a thread until it is released."""

    def __init__(
        self, slots: Slots, path: str, content: _Content, generation: int, taken_from: str
    ) -> None:
        self.taken_from = taken_from
        self._slots = slots
        self._path = path
        self._content = content
        self._generation = generation
        self._released = threading.Event()
        self._thread = threading.Thread(target=self._renew, name=f"lease {path}", daemon=True)
        self._thread.start()

    @classmethod
    def acquire(cls, slots: Slots, path: str, wait_s: float, holder: str) -> Lease | None:
        """Return the lease as soon as it is free or its holder seems dead, within ``wait_s``."""
        deadline = time.monotonic() + wait_s
        content = _Content(holder, secrets.token_hex(8))
        taken_from = ""
        while True:
            seen = slots.see(path)
            found = msgspec.json.decode(seen.content, type=_Content) if seen else None
            if seen and found and found.token == content.token:
                # Our own: the answer to the write was lost, and the write repeated.
                return cls(slots, path, content, seen.generation, taken_from)
            if seen is None or _is_dead(seen):
                taken_from = found.holder if found else ""
                encoded = msgspec.json.encode(content)
                generation = slots.replace(path, encoded, seen.generation if seen else 0)
                if generation is not None:
                    return cls(slots, path, content, generation, taken_from)
                continue
            if time.monotonic() >= deadline:
                return None
            time.sleep(_POLL_S)

    def _renew(self) -> None:
        count = 0
        while not self._released.wait(RENEW_S):
            count += 1
            try:
                is_ours = self._renewed(count)
            except HeadraceError as error:
                _log.warning("could not renew the lock %s: %s", self._path, error)
                continue
            if not is_ours:
                _log.warning("the lock %s was taken over by another process", self._path)
                return

    def _renewed(self, count: int) -> bool:
        """Write the object again; tell whether it is still ours."""
        content = msgspec.json.encode(msgspec.structs.replace(self._content, count=count))
        generation = self._slots.replace(self._path, content, self._generation)
        if generation is None:
            seen = self._slots.see(self._path)
            found = msgspec.json.decode(seen.content, type=_Content) if seen else None
            if not (seen and found and found.token == self._content.token):
                return False
            generation = seen.generation  # an answer was lost
        self._generation = generation
        return True

    def release(self) -> None:
        """Stop renewing, and delete the object if it is still ours."""
        if not self._released.is_set():
            self._released.set()
            self._thread.join()
            try:
                self._slots.discard(self._path, self._generation)
            except HeadraceError as error:
                _log.warning("could not release the lock %s, it expires: %s", self._path, error)


def _is_dead(seen: Seen) -> bool:
    age = dt.datetime.now(dt.timezone.utc) - seen.written
    return age.total_seconds() > LEASE_S
