"""A name for the state of a job, for whoever writes things that belong to it."""

from __future__ import annotations

import secrets
from typing import NamedTuple

from runners.local.options import Settings
from runners.local.store import Store

__all__ = ["StateId", "state_id"]

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
    another one. A temporary state has a new name each time.

    Raises:
        LocalRunnerError: the state can't be used.
    """
    if settings.folder is None:
        return StateId(_random(), is_new=True)
    store = Store.open(settings.folder)
    try:
        known = store.get(_NAME)
        if known is not None:
            return StateId(known.decode(), is_new=False)
        name = _random()
        store.begin()
        store.put(_NAME, name.encode())
        store.commit()
        return StateId(name, is_new=True)
    finally:
        store.close()


def _random() -> str:
    return secrets.token_hex(4)
