"""Ctrl-C and SIGTERM as one exception, so that a run is taken back in order."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

__all__ = ["Interrupted", "interruptible", "uninterrupted"]

SIGNALS = (signal.SIGINT, signal.SIGTERM)


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
    previous = {number: signal.signal(number, handler) for number in SIGNALS}
    try:
        yield
    finally:
        for number, before in previous.items():
            signal.signal(number, before)
