"""A file that changes while its function is in use."""

from __future__ import annotations

import logging
import re
import threading
from pathlib import Path
from typing import Any

import pytest

from connectors.udf import load, reload
from connectors.udf.reload import REST, Latest, latest_of

ONE, TWO = "def f(t: str): return '1'", "def f(t: str): return '2'"


class Clock:
    """Seconds that a test sets."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a file with the first version."""
    path = tmp_path / "f.py"
    path.write_text(ONE)
    return path


@pytest.fixture
def clock() -> Clock:
    """Return a clock at zero."""
    return Clock()


@pytest.fixture
def latest(file: Path, clock: Clock) -> Latest:
    """Return what looks once a minute, and has looked."""
    latest = Latest(load(f"{file}:f"), 60.0, clock)
    latest.source()
    return latest


def test_worker_that_starts_looks_at_once(file: Path, clock: Clock) -> None:
    """Its source may be old: it was read when the pipeline was started."""
    source = load(f"{file}:f")
    file.write_text(TWO)
    assert Latest(source, 60.0, clock).source().text == TWO


def test_change_is_seen_when_it_is_time_to_look(file: Path, clock: Clock, latest: Latest) -> None:
    """And not before."""
    file.write_text(TWO)
    clock.now_s = 59
    assert latest.source().text == ONE
    clock.now_s = 60
    assert latest.source().text == TWO
    file.write_text(ONE + "\n")
    assert latest.source().text == TWO
    clock.now_s = 120
    assert latest.source().text == ONE + "\n"


def test_file_that_was_only_touched_is_the_same(file: Path, clock: Clock, latest: Latest) -> None:
    """The very same source: nothing is compiled again."""
    before = latest.source()
    file.write_text(ONE)
    clock.now_s = 60
    assert latest.source() is before


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("def f(t: str): return (", "does not compile"),
        ("def g(t: str): ...", "has no function f"),
        ("1 / 0", "ZeroDivisionError"),
        ("def f(row): ...", "is of the form row now, was text"),
        (None, "there is no such file|No such file"),
    ],
)
def test_broken_version_is_refused_with_one_warning(
    text: str | None, why: str, latest: Latest, caplog: pytest.LogCaptureFixture, request: Any
) -> None:
    """The one before stays, until the file is mended."""
    file, clock = request.getfixturevalue("file"), request.getfixturevalue("clock")
    if text is None:
        file.unlink()
    else:
        file.write_text(text)
    for clock.now_s in (60, 120, 180):
        assert latest.source().text == ONE
    (warning,) = [each for each in caplog.records if each.levelno == logging.WARNING]
    assert "stays at version" in warning.getMessage()
    assert re.search(why, warning.getMessage())
    file.write_text(TWO)
    clock.now_s = 240
    assert latest.source().text == TWO


def test_version_that_is_never_loaded_is_refused(
    file: Path, clock: Clock, latest: Latest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one before stays, and rows wait no longer than a limit."""
    monkeypatch.setattr("connectors.udf.reload.LOAD_S_MAX", 0.1)
    file.write_text("while True: pass\ndef f(t: str): ...")
    clock.now_s = 60
    assert latest.source().text == ONE


def test_steps_of_a_process_look_together(file: Path) -> None:
    """One of a source and interval."""
    source = load(f"{file}:f")
    assert latest_of(source, 60.0) is latest_of(source, 60.0)
    assert latest_of(source, 60.0) is not latest_of(source, 61.0)


def test_nobody_waits_for_a_look(file: Path, clock: Clock, latest: Latest) -> None:
    """While one thread looks, the others have the version of before."""
    file.write_text(TWO)
    clock.now_s = 60
    with latest._guard:
        assert latest.source().text == ONE
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(latest.source().text)) for _ in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert TWO in found
    assert latest.source().text == TWO


def test_look_that_took_long_is_not_repeated_soon(
    file: Path, clock: Clock, latest: Latest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows wait for it: a version that never loads costs them a small part of the time."""
    read = reload.read

    def slow(*args: Any) -> str:
        clock.now_s += 50
        return read(*args)

    monkeypatch.setattr(reload, "read", slow)
    file.write_text("broken(")
    clock.now_s = 60
    assert latest.source().text == ONE
    file.write_text(TWO)
    clock.now_s = 60 + 50 + REST * 50 - 1
    assert latest.source().text == ONE
    clock.now_s += 1
    assert latest.source().text == TWO
