"""A name for the state of a job, for whoever writes things that belong to it."""

from __future__ import annotations

import contextlib
import os
import secrets
from typing import NamedTuple

from runners.local.errors import StateFolderInUse
from runners.local.folder import require_possible
from runners.local.options import Settings
from runners.local.store import Store

__all__ = ["StateId", "keep", "state_id"]

_NAME = "state id"


class StateId(NamedTuple):
    """The name of a state.

    Attributes:
        name: 8 hexadecimal digits, by chance: the same for as long as the state lives.
        is_new: nobody has asked for it before.
    """

    name: str
    is_new: bool


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
        known = store.get(_NAME)
    return StateId(_random(), is_new=True) if known is None else StateId(known.decode(), False)


def keep(settings: Settings, found: StateId) -> None:
    """Store a new name of a state, whose folder is made if it is missing.

    Raises:
        LocalRunnerError: the state can't be used, or another process has named it meanwhile.
    """
    if settings.folder is None or not found.is_new:
        return
    with contextlib.closing(Store.open(settings.folder)) as store:
        if store.get(_NAME) is not None:
            raise StateFolderInUse(
                settings.folder, "another process has just begun a job here", "Start it again"
            )
        store.begin()
        store.put(_NAME, found.name.encode())
        store.commit()


def _random() -> str:
    return secrets.token_hex(4)
