"""Ctrl-C and SIGTERM leave a run as one exception."""

import os
import signal
import threading

import pytest

from pipelines.interrupt import Interrupted, interruptible, stoppable


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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_that_another_thread_gets(number: int) -> None:
    """The kernel may give it to any thread; the main one wakes up all the same."""
    over, interrupted = threading.Event(), threading.Event()
    in_time: list[bool] = []

    def send() -> None:
        signal.pthread_kill(threading.get_ident(), number)
        in_time.append(interrupted.wait(20))
        over.set()

    sender = threading.Timer(0.1, send)  # by then the main thread waits, or else it is no harm

    def wait() -> None:
        sender.start()
        over.wait()

    with pytest.raises(Interrupted), interruptible():
        wait()
    interrupted.set()
    sender.join()
    assert in_time == [True]


def test_threads_end() -> None:
    """Nothing is left behind the block, whether a signal came or not."""
    before = threading.active_count(), signal.getsignal(signal.SIGURG)
    with interruptible():
        pass
    with pytest.raises(Interrupted), interruptible():
        os.kill(os.getpid(), signal.SIGTERM)
    assert (threading.active_count(), signal.getsignal(signal.SIGURG)) == before
    assert signal.set_wakeup_fd(-1) == -1


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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_first_signal_is_a_request(number: int) -> None:
    """Where there is something to stop in order, the signal's name is passed on, once."""
    requests: list[str] = []
    with stoppable() as stopping:
        stopping.by(requests.append)
        os.kill(os.getpid(), number)
    assert requests == [signal.Signals(number).name]


def test_signal_before_there_is_a_job() -> None:
    """Until there is something to stop, a signal is an interrupt."""
    with pytest.raises(Interrupted), stoppable():
        os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_signal_that_python_has_ignored_is_a_request() -> None:
    """In a destructor, an exception is lost; the signal is passed on when there is a job."""

    class Dying:
        def __del__(self) -> None:
            os.kill(os.getpid(), signal.SIGTERM)

    requests: list[str] = []
    with stoppable() as stopping:
        Dying()
        stopping.by(requests.append)
    assert requests == ["SIGTERM"]


@pytest.mark.parametrize(
    "numbers", [(signal.SIGINT, signal.SIGINT), (signal.SIGINT, signal.SIGTERM)]
)
def test_second_signal_ends_the_process(numbers: tuple[signal.Signals, signal.Signals]) -> None:
    """Who asks twice doesn't want to wait: the process ends by the second signal."""
    child = os.fork()
    if child == 0:
        with stoppable() as stopping:
            stopping.by(lambda name: None)
            for number in numbers:
                os.kill(os.getpid(), number)
            os._exit(99)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)
    assert os.WTERMSIG(status) == numbers[1]


def test_requests_end_with_the_block() -> None:
    """After the block, signals mean what they meant before."""
    before = signal.getsignal(signal.SIGINT)
    with stoppable():
        assert signal.getsignal(signal.SIGINT) is not before
    assert signal.getsignal(signal.SIGINT) is before


def test_outside_the_main_thread_nothing_is_handled() -> None:
    """A thread can't handle signals; the block runs all the same."""
    ran: list[bool] = []

    def work() -> None:
        with stoppable() as stopping:
            stopping.by(lambda name: None)
            ran.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert ran == [True]
