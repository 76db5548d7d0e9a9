"""Encoded elements, back to back."""

import pytest
from apache_beam.coders import StrUtf8Coder, WindowedValueCoder
from apache_beam.coders.coders import GlobalWindowCoder
from apache_beam.transforms.window import GlobalWindows

from runners.local.elements import each, from_index

CODER = WindowedValueCoder(StrUtf8Coder(), GlobalWindowCoder())
VALUES = ["a", "", "long " * 100]


def encoded(value: str) -> bytes:
    return bytes(CODER.get_impl().encode_nested(GlobalWindows.windowed_value(value, 3)))


ALL = [encoded(value) for value in VALUES]


def test_each_is_found_where_it_lies() -> None:
    """Every element comes decoded, and as the very bytes that it was."""
    found = list(each(b"".join(ALL), CODER))
    assert [windowed.value for windowed, _ in found] == VALUES
    assert [windowed.timestamp for windowed, _ in found] == [3] * len(VALUES)
    assert [data for _, data in found] == ALL
    assert list(each(b"", CODER)) == []


@pytest.mark.parametrize("first", range(5))
def test_rest_begins_at_an_index(first: int) -> None:
    """All from an index on is left; behind the last there is nothing."""
    assert from_index(b"".join(ALL), CODER, first) == b"".join(ALL[first:])
