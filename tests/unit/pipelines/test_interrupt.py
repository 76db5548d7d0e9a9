"""Ctrl-C and SIGTERM leave a run as one exception."""

import os
import signal
import threading

import pytest

from pipelines.interrupt import Interrupted, interruptible


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_becomes_interrupted(number: int) -> None:
    """The exception tells the signal's name and the exit code that shells expect."""
    with pytest.raises(Interrupted) as caught, interruptible():
        os.kill(os.getpid(), number)
    assert caught.value.status == 128 + number


def test_wrapped_interrupt_is_still_an_interrupt() -> None:
    """Code in between may turn the exception into another one; the caller sees the signal."""

    def wrap() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            threading.Event().wait(5)
        except BaseException as error:
            raise RuntimeError("wrapped") from error

    with pytest.raises(Interrupted), interruptible():
        wrap()


def test_other_errors_pass() -> None:
    """Without a signal, an error is itself."""
    with pytest.raises(ZeroDivisionError), interruptible():
        _ = 1 / 0


def test_handlers_are_restored() -> None:
    """After the block, signals mean what they meant before."""
    before = signal.getsignal(signal.SIGTERM)
    with interruptible():
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before
