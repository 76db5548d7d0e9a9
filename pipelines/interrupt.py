"""Ctrl-C and SIGTERM as one exception, so that a run is taken back in order.

For a job without end they are a request instead, which ``stoppable`` passes on.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from types import FrameType

__all__ = ["Interrupted", "Stopping", "interruptible", "stoppable", "uninterrupted"]

SIGNALS = (signal.SIGINT, signal.SIGTERM)
_WAKE = signal.SIGURG
"""Nobody else uses it here, and whoever does not handle it does not notice it."""


class Interrupted(BaseException):
    """The user or the system asked this process to stop."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal_number)
        self.name = signal.Signals(signal_number).name
        self.status = 128 + signal_number


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Raise ``Interrupted`` from the block when a signal to stop arrives.

    Whatever the interrupted code makes of the exception (Beam wraps it into an error of its
    own), it leaves this block as ``Interrupted``. Outside the main thread there are no signals.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[int] = []

    def stop(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        raise Interrupted(number)

    with _handled_by(stop):
        try:
            yield
        except BaseException:
            if received:
                raise Interrupted(received[0]) from None
            raise
        if received:  # raised where Python ignores exceptions, such as a destructor
            raise Interrupted(received[0])


class Stopping:
    """What a request to stop does: it raises ``Interrupted`` until there is a job to stop."""

    def __init__(self) -> None:
        self._stop: Callable[[str], None] | None = None
        self._requested = False
        self._raised: int | None = None

    def by(self, stop: Callable[[str], None]) -> None:
        """From now on call ``stop`` with the name of the signal; it must return at once."""
        self._stop = stop
        if self._raised is not None:  # where Python ignores exceptions, such as a destructor
            self.request(self._raised)

    def request(self, number: int, _frame: FrameType | None = None) -> None:
        """Take a signal: the first one stops in order, the second one ends the process."""
        if self._stop is None:
            self._raised = number
            raise Interrupted(number)
        if self._requested:
            # Whoever waits for us shall see which signal it was, and nothing is tidied up.
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        self._requested = True
        self._stop(signal.Signals(number).name)


@contextlib.contextmanager
def stoppable() -> Iterator[Stopping]:
    """Let the block decide what a signal to stop does. Outside the main thread there are none."""
    stopping = Stopping()
    if threading.current_thread() is not threading.main_thread():
        yield stopping
        return
    with _handled_by(stopping.request):
        yield stopping


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Let the block end although a signal to stop arrives: it is short, and then all is done."""

    def ignore(_number: int, _frame: FrameType | None) -> None:
        pass

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with _handled_by(ignore):
        yield


@contextlib.contextmanager
def _handled_by(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    with _waking():
        previous = {number: signal.signal(number, handler) for number in SIGNALS}
        try:
            yield
        finally:
            for number, before in previous.items():
                signal.signal(number, before)


@contextlib.contextmanager
def _waking() -> Iterator[None]:
    """Let signals wake the main thread, whichever thread the kernel gives them to.

    It may choose any, such as one that is just starting. Python then notes the signal for the main
    thread, but if that waits for a lock without a limit, as Beam does, it sleeps on.
    """
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    waker = threading.Thread(target=_wake_main, args=(reader,), name="signals", daemon=True)
    waker.start()
    before = signal.signal(_WAKE, _nothing)
    noted_by = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(noted_by)
        writer.close()
        waker.join()
        signal.signal(_WAKE, before)


def _wake_main(reader: socket.socket) -> None:
    """Wake the main thread after each signal, until the other end is closed."""
    main = threading.main_thread().ident
    with reader:
        while numbers := reader.recv(64):
            if main is not None and any(number in SIGNALS for number in numbers):
                signal.pthread_kill(main, _WAKE)


def _nothing(_number: int, _frame: FrameType | None) -> None:
    """Be called: that is what wakes."""
