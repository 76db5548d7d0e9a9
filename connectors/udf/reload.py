"""Look now and then whether the file of a user's function has changed."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from connectors import retry
from connectors.objects import ObjectStore, store_of
from connectors.store import Store, is_remote
from connectors.udf.files import checked, read
from connectors.udf.watchdog import Watchdog
from transforms.errors import ConfigError, HeadraceError
from transforms.udf import Source
from transforms.udf.calls import Calls, Failed, call_each
from transforms.udf.compiled import NAME

__all__ = ["LOAD_S_MAX", "REST", "Latest", "latest_of"]

LOAD_S_MAX = 60.0
"""For a new version to be loaded: it may make clients and tables."""
REST = 10
"""Of the time that a look took, before the next one."""

_log = logging.getLogger(__name__)
_PATIENCE = retry.Backoff(first_s=0.2, limit_s=1.0, patience_s=5.0)
"""A look that fails is repeated soon enough: rows wait for it."""
_latest: dict[tuple[Source, float], Latest] = {}
_guard = threading.Lock()


class Latest:
    """The newest version of a function that works; any thread may ask.

    A version that does not compile, lacks the function, or has another form is refused with one
    warning, and the one before stays. So does it while the file can't be read. After a look that
    took long, ``REST`` times as long passes before the next one: rows wait for it.

    Args:
        source: the first version.
        every_s: how often to look, the first time at once.
        clock: seconds, of which only differences count.
    """

    def __init__(
        self, source: Source, every_s: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._source = source
        self._every_s = every_s
        self._clock = clock
        self._guard = threading.Lock()
        self._next_s = clock()  # a worker that starts anew has the oldest version
        self._stamp = ""
        self._refused = ""

    def source(self) -> Source:
        """Return the version to use; the file is looked at if it is time to."""
        began_s = self._clock()
        if began_s >= self._next_s and self._guard.acquire(blocking=False):
            try:
                self._look()
            finally:
                now_s = self._clock()
                self._next_s = now_s + max(self._every_s, REST * (now_s - began_s))
                self._guard.release()
        return self._source

    def _look(self) -> None:
        current = self._source
        try:
            store = _store(current.path)
            stamp = store.version(current.path)
            if stamp == self._stamp:
                return
            text = read(current.path, store)
            if text != current.text:
                self._source = _loaded(current, text)
                _log.info("%s was loaded anew, version %s", current, self._source.version)
            self._stamp, self._refused = stamp, ""
        except (OSError, HeadraceError) as error:
            self._refuse(str(error))

    def _refuse(self, why: str) -> None:
        if why != self._refused:
            _log.warning("%s stays at version %s: %s", self._source, self._source.version, why)
        self._refused = why


def latest_of(source: Source, every_s: float) -> Latest:
    """Return the one of this process: its steps look together, and change together."""
    with _guard:
        return _latest.setdefault((source, every_s), Latest(source, every_s))


def _store(path: str) -> Store:
    return ObjectStore(_PATIENCE) if is_remote(path) else store_of(path)


def _loaded(current: Source, text: str) -> Source:
    """Return the checked successor of a source, also if its file never comes to its end."""
    watch = Watchdog(str(current), LOAD_S_MAX)
    calls = Calls(lambda text: _successor(current, text), [[text]], lambda _: [text], current.path)
    (found,) = call_each(calls, watch)
    if isinstance(found, Failed):
        raise ConfigError(NAME, str(current), f"can't be loaded: {found.text}", "Correct the file")
    return found


def _successor(current: Source, text: str) -> Source:
    found = checked(current.path, current.function, text)
    if found.form is not current.form:
        raise ConfigError(
            NAME, str(current), f"is of the form {found.form.value} now, was {current.form.value}",
            "Keep the annotation of the first parameter, or start the pipeline again",
        )  # fmt: skip
    return found
