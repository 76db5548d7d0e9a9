"""The time limit of Python functions, with real time."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from connectors.udf.watchdog import STUCK_EXIT_CODE, Watchdog, _patrol
from tests.udfs import column, errors, function, messages, numbers, require_account
from transforms import kinds
from transforms.udf import Plan, Result

LIMIT_S = 0.3
ROOT = Path(__file__).resolve().parents[4]
TYPED = Plan(typed=True)
BUSY = """
        import time
        def f(row):
            while row["n"] == 7:
                pass
            return row
"""


def watchdog() -> Watchdog:
    """Return one with a short limit."""
    return Watchdog("file.py:f", LIMIT_S)


def in_threads(works: Sequence[Callable[[], None]]) -> None:
    """Do each in a thread of its own, all at once."""
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_busy_loop_is_ended_and_its_neighbours_go_on() -> None:
    """The row is dead, about as long after the limit as the watchdog looks away."""
    began_s = time.monotonic()
    result = function(BUSY, TYPED, watchdog()).apply(numbers(1, 7, 2, 7))
    assert time.monotonic() - began_s < 40 * LIMIT_S
    assert column(result.ok, "n") == [1, 2]
    reason = (kinds.UDF_TIMEOUT, "It took longer than 0.3 s")
    assert errors(result) == {"1": reason, "3": reason}


def test_limit_is_for_a_row_and_not_for_all() -> None:
    """Many rows may take many times as long."""
    text = """
        import time
        def f(row):
            time.sleep(0.02)
            return row
    """
    result = function(text, TYPED, watchdog()).apply(numbers(*range(30)))
    assert result.dead is None


def test_limit_of_a_batch_is_for_the_call() -> None:
    """The row that makes it slow is found by halving."""
    text = """
        import pyarrow as pa
        def f(rows: pa.RecordBatch):
            while 7 in rows["n"].to_pylist():
                pass
            return rows
    """
    result = function(text, TYPED, watchdog()).apply(numbers(*range(16)))
    assert list(errors(result)) == ["7"]
    assert len(column(result.ok, "n")) == 15


def test_function_that_catches_everything_is_struck_again() -> None:
    """Until it gives in."""
    text = """
        caught = 0
        def f(text: str):
            global caught
            while caught < 3:
                try:
                    while True:
                        pass
                except BaseException:
                    caught += 1
            return str(caught)
    """
    result = function(text, Plan(), watchdog()).apply(messages(b"slow", b"fast"))
    assert list(errors(result)) == ["0"]
    assert column(result.ok, "data") == [b"3"]


def test_nested_finally_does_not_save_a_row() -> None:
    """It may clean up, and is dead."""
    text = """
        cleaned = []
        def f(text: str):
            try:
                try:
                    while text == "slow":
                        pass
                except Exception:
                    return "not here"
            finally:
                cleaned.append(text)
            return ",".join(cleaned)
    """
    result = function(text, Plan(), watchdog()).apply(messages(b"slow", b"b"))
    assert errors(result)["0"][0] == kinds.UDF_TIMEOUT
    assert column(result.ok, "data") == [b"slow,b"]


def test_generator_is_within_the_limit() -> None:
    """What runs while it is read is part of the call."""
    text = """
        def f(row):
            yield row
            while row["n"] == 7:
                pass
    """
    result = function(text, TYPED, watchdog()).apply(numbers(1, 7))
    assert (column(result.ok, "n"), list(errors(result))) == ([1], ["1"])


def test_rows_around_the_limit_are_each_in_one_place() -> None:
    """Wherever the watchdog strikes: within a row, at its end, or between two of our own steps."""
    text = """
        import time
        def f(row):
            end = time.monotonic() + (0.004 if row["n"] % 5 == 0 else 0)
            while time.monotonic() < end:
                pass
            if row["n"] % 7 == 0: raise ValueError
            return [row, row] if row["n"] % 11 == 0 else row
    """
    results: list[Result] = []

    def run() -> None:
        made = function(text, TYPED, Watchdog("file.py:f", 0.003))
        results.extend(made.apply(numbers(*range(100))) for _ in range(8))

    in_threads([run] * 3)
    assert len(results) == 24
    for result in results:
        require_account(result, 100)
        dead = set(errors(result))
        assert {str(n) for n in range(0, 100, 7)} <= dead
        kept = [n for n in range(100) if str(n) not in dead]
        assert column(result.ok, "n") == [n for n in kept for _ in range(1 + (n % 11 == 0))]


def test_threads_with_a_watchdog_each_do_not_meet() -> None:
    """A strike is for the thread whose call stands still."""
    results = {}

    def run(number: int) -> None:
        batch = numbers(*range(100), 7 if number % 2 else 8)
        results[number] = function(
            BUSY.replace("== 7", "== 7 and row['s'] == '7'"), TYPED, watchdog()
        ).apply(batch.slice(50))

    in_threads([functools.partial(run, number) for number in range(6)])
    assert [len(errors(results[number])) for number in range(6)] == [0, 1, 0, 1, 0, 1]


def test_forked_process_has_a_limit_too() -> None:
    """The thread that looks is not taken along; whoever holds its lock is not either."""
    with _patrol._guard:  # as another thread might, at the moment of the fork
        child = os.fork()
        if not child:
            result = function(BUSY, TYPED, watchdog()).apply(numbers(7))
            os._exit(len(errors(result)))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1


def test_thread_of_the_watchdog_ends_when_nobody_calls() -> None:
    """And begins anew with the next call."""
    for _ in range(2):
        made = function(BUSY, TYPED, watchdog())
        made.apply(numbers(7))
        end = time.monotonic() + 10
        while any(each.name == "udf-watchdog" for each in threading.enumerate()):
            assert time.monotonic() < end
            time.sleep(0.01)


@pytest.mark.parametrize(
    ("body", "code", "said"),
    [
        ("import time; time.sleep(1000)", STUCK_EXIT_CODE, "stuck.py:f has not returned for 1 s"),
        ("import re; re.match('(a+)+$', 'a' * 60 + 'b')", -signal.SIGVTALRM, "Current thread"),
        (
            "import logging, time; logging.root.handlers[0].acquire(); time.sleep(1000)",
            STUCK_EXIT_CODE,
            "",
        ),
    ],
)
def test_call_that_nothing_ends_ends_the_process(
    tmp_path: Path, body: str, code: int, said: str
) -> None:
    """With the function's name, or with the lines where each thread is; or mute, if it must."""
    file = tmp_path / "stuck.py"
    file.write_text(f"def f(t: str):\n  {body}\n")
    main = f"""
import logging
from connectors import udf
from connectors.udf import watchdog
from tests.udfs import messages
logging.basicConfig()
watchdog.STUCK_S_MIN = watchdog.STUCK_LIMITS = watchdog._LAST_WORDS_S = 1.0
udf.opened(udf.load({f"{file}:f"!r}), udf.Plan(), 0.1).apply(messages(b"x"))
"""
    done = subprocess.run(
        [sys.executable, "-c", main], cwd=ROOT, capture_output=True, text=True, check=False,
        timeout=120,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert not said or f'{file}", line 2' in done.stderr
