"""The time limit of Python functions: a thread that looks whether a call stands still.

One thread of the process looks at all calls, some times within a limit. Where one is over it, it
has ``Overrun`` raised in the thread of the call. That strikes as soon as Python code runs there: a
call of C that does not return, such as a long sleep, is not ended by it. When a call has stood
still for ``STUCK_LIMITS`` limits, the process ends with an error that names the function, for
nothing else would end it. Messages in work come again.

A call of C that keeps Python's lock, such as a regular expression that backtracks without end,
stops this thread too. Then the system ends the process (``SIGVTALRM``), by processor time so that a
process that is suspended isn't ended, and Python writes where each thread is.
"""

from __future__ import annotations

import ctypes
import faulthandler
import logging
import operator
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Set
from typing import Any, NoReturn

from transforms.udf import Overrun

__all__ = ["STUCK_EXIT_CODE", "STUCK_LIMITS", "STUCK_S_MIN", "Watchdog"]

STUCK_LIMITS = 10
"""Limits after which a call that can't be ended ends the process, and at least so long:"""
STUCK_S_MIN = 60.0
STUCK_EXIT_CODE = 70
_LOOKS = 8
"""Looks within a limit."""
_LOOK_S_MIN, _LOOK_S_MAX = 0.005, 1.0
_STRIKE_ROUNDS = 100
_LAST_WORDS_S = 5.0
_STDERR = 2
_log = logging.getLogger(__name__)


class Watchdog:
    """``transforms.udf.Watch`` for the calls of one instance of a step, by one thread at a time.

    A call may take some looks longer than the limit.

    Args:
        subject: whose calls these are, for errors.
        limit_s: seconds that a call may take.
    """

    def __init__(self, subject: str, limit_s: float) -> None:
        self.limit_s = limit_s
        self.stuck_s = max(STUCK_LIMITS * limit_s, STUCK_S_MIN)
        self.look_s = min(max(limit_s / _LOOKS, _LOOK_S_MIN), _LOOK_S_MAX)
        self._subject = subject
        self._guard = threading.Lock()
        self._thread = 0
        self._remaining: Iterator[Any] | None = None
        self._seen = -1
        self._still_s = self._left_s = 0.0
        self._accused: set[int] = set()

    def begin(self, remaining: Iterator[Any]) -> None:
        """Start to look."""
        self._thread = threading.get_ident()
        self._accused = set()
        self._seen = -1
        self._remaining = remaining
        _patrol.watch(self)

    def accused(self) -> Set[int]:
        """Return the hints at which a call took too long."""
        return self._accused

    def end(self) -> Set[int]:
        """Look no more; an ``Overrun`` that has not struck yet strikes here."""
        with self._guard:
            self._remaining = None
        if self._accused:
            # CPython could take it back, but would go on to look for it at each step of the
            # interpreter, in all threads. A loop is where it strikes.
            for _ in range(_STRIKE_ROUNDS):
                pass
        return self._accused

    @property
    def is_busy(self) -> bool:
        """Whether there is a call to look at."""
        return self._remaining is not None

    def look(self, passed_s: float) -> None:
        """Accuse a call that stands still."""
        with self._guard:
            if self._remaining is None:
                return
            hint = operator.length_hint(self._remaining)
            if hint != self._seen:
                self._seen, self._still_s, self._left_s = hint, 0.0, self.limit_s
                return
            self._still_s += passed_s
            self._left_s -= passed_s
            if self._left_s <= 0:
                self._left_s = self.limit_s
                self._accused.add(hint)
                _strike(self._thread)
            if self._still_s > self.stuck_s:  # the call can't end meanwhile
                _give_up(self._subject, self._still_s, self._thread)


class _Patrol:
    """The thread that looks; it ends when no function is called any more."""

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """Begin anew, as in a forked process: the thread is not there, nor who holds the lock."""
        self._guard = threading.Lock()
        self._watched: set[Watchdog] = set()
        self._thread: threading.Thread | None = None

    def watch(self, watchdog: Watchdog) -> None:
        """Look at a watchdog until its call has ended."""
        with self._guard:
            self._watched.add(watchdog)
            if self._thread is None:
                _expect_us(watchdog.stuck_s)  # the thread may never come to it
                self._thread = threading.Thread(target=self._run, name="udf-watchdog", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while watched := self._busy():
            look_s = min(each.look_s for each in watched)
            _expect_us(max(each.stuck_s for each in watched))
            began_s = time.monotonic()
            time.sleep(look_s)
            # A process that was stopped for a while has not used that time.
            passed_s = min(time.monotonic() - began_s, 2 * look_s)
            for each in watched:
                each.look(passed_s)

    def _busy(self) -> set[Watchdog]:
        with self._guard:
            self._watched = {each for each in self._watched if each.is_busy}
            if not self._watched:
                self._thread = None
                _expect_us(0)
            return set(self._watched)


_patrol = _Patrol()
os.register_at_fork(after_in_child=_patrol.renew)


def _strike(thread: int) -> None:
    """Have ``Overrun`` raised in a thread at its next Python code."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(Overrun))


def _expect_us(within_s: float) -> None:
    """Have the system end the process unless this is called again; 0 if it won't be.

    The time is that of all processors: while all work without Python's lock, we are on time.
    """
    faulthandler.register(signal.SIGVTALRM, file=_STDERR, all_threads=True, chain=True)
    signal.setitimer(signal.ITIMER_VIRTUAL, within_s * (os.cpu_count() or 1))


def _give_up(subject: str, still_s: float, thread: int) -> NoReturn:
    """End the process: there is no other way to end a call of C."""
    # The call may hold the lock of the log, or of what the log is written to.
    threading.Timer(_LAST_WORDS_S, os._exit, [STUCK_EXIT_CODE]).start()
    stack = "".join(traceback.format_stack(sys._current_frames()[thread]))
    _log.critical(
        "%s has not returned for %.0f s and can't be interrupted: it waits in code that is not"
        " Python. The process ends; messages that were in work will be delivered again. Give that"
        " call a time limit of its own. It is at:\n%s",
        subject, still_s, stack,
    )  # fmt: skip
    logging.shutdown()
    os._exit(STUCK_EXIT_CODE)
