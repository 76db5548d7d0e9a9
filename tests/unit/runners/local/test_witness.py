"""The summary of an element: short, and never in the way."""

from typing import Any

import pytest
from apache_beam.utils.windowed_value import create as windowed

from runners.local.witness import SUMMARY_MAX, Witness, call_of, remembered, summary


class Silent:
    def __repr__(self) -> str:
        raise LookupError


def no_length(value: Any) -> int:
    raise LookupError


Crowd = type("list", (), {"__len__": no_length, "__repr__": no_length})
"""A class that ``reprlib`` takes for a list."""


@pytest.mark.parametrize("value", [None, 1, "text", b"bytes", ("k", [1, 2]), {"a": 1}])
def test_small_values_are_shown_whole(value: Any) -> None:
    """What is short is shown as Python would."""
    assert summary(value) == repr(value)


@pytest.mark.parametrize(
    "value",
    ["x" * 10_000_000, b"x" * 10_000_000, list(range(1_000_000)), {n: "x" * n for n in range(99)}],
)
def test_large_values_are_cut(value: Any) -> None:
    """A summary is short whatever the size of the value."""
    assert 10 < len(summary(value)) <= SUMMARY_MAX


def test_length_of_cut_bytes_is_told() -> None:
    """Of bytes that are cut, the number is told: they are often a message."""
    assert summary(b"x" * 100) == repr(b"x" * 100)
    assert summary(b"x" * 1_000).endswith("x'... (1000 bytes)")


@pytest.mark.parametrize(
    ("value", "name"), [(Silent(), "Silent"), (("k", Silent()), "Silent"), (Crowd(), "list")]
)
def test_broken_repr_is_survived(value: Any, name: str) -> None:
    """An element whose ``repr`` raises is named by its class."""
    assert f"<{name}" in summary(value)


def test_witness_keeps_the_first_element() -> None:
    """An exception that passes several steps is told with the element of the innermost."""
    error = ValueError("bad")
    witness = Witness()
    for value in ("inner", "outer"):
        witness.sample_exception(windowed(value, 0, ()), (ValueError, error, None), "step", "1")
    assert remembered(error) == "'inner'"


def test_exception_without_room_is_left_alone() -> None:
    """An exception that takes no attribute stays as it is."""

    class ClosedError(ValueError):
        def __setattr__(self, name: str, value: object) -> None:
            raise AttributeError(name)

    error = ClosedError("bad")
    Witness().sample_exception(windowed(1, 0, ()), (ClosedError, error, None), "step", "1")
    assert remembered(error) is None


def test_traceback_without_beam_has_no_call() -> None:
    """Where Beam has called nothing, no frame is taken for a step's."""
    with pytest.raises(ValueError, match="invalid literal") as raised:
        int("bad")
    assert call_of(raised.tb) is None
    assert call_of(None) is None
