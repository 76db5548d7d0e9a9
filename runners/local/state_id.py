"""A name for the state of a job, for whoever writes things that belong to it."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from runners.local.errors import StateFolderInUse
from runners.local.folder import require_possible
from runners.local.options import Settings
from runners.local.store import Store

__all__ = ["StateId", "keep", "state_id"]

_NAME = "state id"
_NOTES = "notes"


class StateId(NamedTuple):
    """The name of a state.

    Attributes:
        name: 8 hexadecimal digits, by chance: the same for as long as the state lives.
        is_new: nobody has asked for it before.
        notes: what was last kept with it.
    """

    name: str
    is_new: bool
    notes: Mapping[str, str] = MappingProxyType({})


def state_id(settings: Settings) -> StateId:
    """Return the name of a job's state.

    It is kept in the state and ends with it: a job that was drained and is started again has
    another one. A temporary state has a new name each time. Nothing is made: a new name counts
    when ``keep`` has stored it.

    Raises:
        LocalRunnerError: the state can't be used.
    """
    if settings.folder is None:
        return StateId(_random(), is_new=True)
    if not os.path.exists(settings.folder):
        require_possible(settings.folder)
        return StateId(_random(), is_new=True)
    with contextlib.closing(Store.open(settings.folder)) as store:
        known, notes = store.get(_NAME), store.get(_NOTES)
    if known is None:
        return StateId(_random(), is_new=True)
    return StateId(known.decode(), False, msgspec.json.decode(notes or b"{}", type=dict[str, str]))


def keep(settings: Settings, found: StateId, notes: Mapping[str, str] | None = None) -> None:
    """Store a new name of a state, whose folder is made if it is missing, and notes.

    Args:
        settings: of the job.
        found: the name of its state.
        notes: what whoever starts the job wants to know at its next start; they end with the state.

    Raises:
        LocalRunnerError: the state can't be used, or another process has named it meanwhile.
    """
    notes = found.notes if notes is None else notes
    if settings.folder is None or not (found.is_new or notes != found.notes):
        return
    with contextlib.closing(Store.open(settings.folder)) as store:
        if found.is_new and store.get(_NAME) is not None:
            raise StateFolderInUse(
                settings.folder, "another process has just begun a job here", "Start it again"
            )
        store.begin()
        store.put(_NAME, found.name.encode())
        store.put(_NOTES, msgspec.json.encode(dict(notes)))
        store.commit()


def _random() -> str:
    return secrets.token_hex(4)
