"""Window definitions: reading, what is refused, and splits at awkward edges."""

import numpy as np
import pyarrow as pa
import pytest

from transforms.batch import Batch
from transforms.errors import ConfigError
from transforms.field import attribute, column
from transforms.windows import Fixed, Session, Sliding, Windowing, Windows, parse_windows, split


@pytest.mark.parametrize(
    ("text", "windows"),
    [
        ("1m", Fixed(60)),
        ("fixed:500ms", Fixed(0.5)),
        ("sliding:10m/1m", Sliding(600, 60)),
        ("session:30s", Session(30)),
        ("session:30s/user", Session(30, (column("user"),))),
        ("session:1d/user,attribute:x", Session(86_400, (column("user"), attribute("x")))),
    ],
)
def test_parse(text: str, windows: Windows) -> None:
    """Windows are read as they are written on the command line."""
    assert parse_windows(text) == windows


@pytest.mark.parametrize(
    "text",
    [
        "", "1", "m", "fixed", "fixed:", "fixed:0s", "fixed:1m/1m", "sliding:1m", "sliding:1m/",
        "sliding:1m/2m", "sliding:0s/0s", "session", "session:", "session:0s", "session:30s/",
        "tumbling:1m", "1m/2m",
    ],
)  # fmt: skip
def test_parse_refuses(text: str) -> None:
    """What describes no windows is refused, and so are windows that would lose rows."""
    with pytest.raises(ConfigError):
        parse_windows(text)


@pytest.mark.parametrize(
    "arguments", [(0,), (-1,), (0.0001,), (60, 60), (60, -1), (60, 0.0001), (60, 90)]
)
def test_fixed_refuses(arguments: tuple[float, ...]) -> None:
    """Size and offset are whole milliseconds, the offset is less than the size."""
    with pytest.raises(ConfigError):
        Fixed(*arguments)


def test_windowing_refuses_negative_lateness() -> None:
    """The allowed lateness is none or a whole number of milliseconds."""
    Windowing(Fixed(60), column("at"), allowed_lateness_s=0)
    with pytest.raises(ConfigError, match="allowed_lateness_s"):
        Windowing(Fixed(60), column("at"), allowed_lateness_s=-1)


def parts(windows: Windows, times: list[int]) -> list[list[int]]:
    """Return the event times of each part of a batch."""
    batch = Batch(pa.record_batch({"at": pa.array(times, pa.int64())}))
    found = split(windows, batch, np.array(times, np.int64))
    return [part.column("at").to_pylist() for part, _ in found]


@pytest.mark.parametrize(
    ("windows", "times", "expected"),
    [
        (Fixed(1), [-1, 0, 999_999, 1_000_000], [[-1], [0, 999_999], [1_000_000]]),
        (Fixed(1), [-1_000_001, -1_000_000, -1], [[-1_000_001], [-1_000_000, -1]]),
        (Fixed(1, 0.25), [249_999, 250_000, -750_001], [[-750_001], [249_999], [250_000]]),
        (Fixed(0.001), [999, 1_000, 1_999], [[999], [1_000, 1_999]]),
        # [0, 3) [2, 5) [4, 7): edges at starts (even) and at ends (odd).
        (Sliding(3, 2), [2_999_999, 3_000_000, 3_999_999], [[2_999_999], [3_000_000, 3_999_999]]),
        (Sliding(4, 2), [2_000_000, 3_000_000, 3_999_999], [[2_000_000, 3_000_000, 3_999_999]]),
        (Session(1), [0, 1_000_000, 999_999], [[0, 1_000_000, 999_999]]),
        (Session(1), [0, 1_000_000], [[0], [1_000_000]]),
        (Session(1), [0, 999_000], [[0, 999_000]]),
    ],
)
def test_edges(windows: Windows, times: list[int], expected: list[list[int]]) -> None:
    """A window begins at its first microsecond and ends before the next, also before 1970."""
    assert parts(windows, times) == expected


@pytest.mark.parametrize("windows", [Fixed(60), Sliding(60, 30), Session(60)])
def test_one_window_is_passed_on(windows: Windows) -> None:
    """A batch within one window is the same object afterwards; an empty one is dropped."""
    batch = Batch(pa.record_batch({"at": pa.array([3, 1, 2])}))
    ((same, first),) = split(windows, batch, np.array([3, 1, 2]))
    assert first == 1
    assert same.column("at").buffers()[1].address == batch.column("at").buffers()[1].address
    assert list(split(windows, batch.slice(0, 0), np.array([], np.int64))) == []


def test_sessions_tell_keys_apart() -> None:
    """Keys never share a part; null is a key; arrival order is kept within a part."""
    batch = Batch(pa.record_batch({"user": ["a", None, "a", "b", None], "row": range(5)}))
    times = np.array([5, 0, 1, 2, 3]) * 1_000
    found = split(Session(60, (column("user"),)), batch, times)
    assert [(part.column("row").to_pylist(), first) for part, first in found] == [
        ([0, 2], 1_000),
        ([1, 4], 0),
        ([3], 2_000),
    ]
