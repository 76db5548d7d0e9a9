"""Ctrl-C and SIGTERM as one exception, so that a run is taken back in order."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

__all__ = ["Interrupted", "interruptible"]

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

    previous = {number: signal.signal(number, stop) for number in SIGNALS}
    try:
        yield
    except BaseException:
        if received:
            raise Interrupted(received[0]) from None
        raise
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
