"""Names of folders."""

from __future__ import annotations

import pytest

from connectors.lake.layout import NULL, escape, folder_part
from transforms.errors import PermanentError


@pytest.mark.parametrize(
    ("value", "written"),
    [("UA", "UA"), ("a/b", "a%2Fb"), ("50%", "50%25"), ("a=b", "a%3Db"), ("12:30", "12%3A30"),
     ("æø", "æø"), ("a b", "a b"), ("\n", "%0A"), ("\0", "%00")],
)  # fmt: skip
def test_values_are_escaped_as_hive_does(value: str, written: str) -> None:
    """What separates or misleads paths is written as %XX; all else stays readable."""
    assert escape(value) == written


def test_null_and_the_empty_string_share_hives_default_folder() -> None:
    """Hive has no other name for either, and Spark refuses an empty value."""
    assert folder_part("carrier", None) == folder_part("carrier", "") == f"carrier={NULL}"


def test_a_value_too_long_for_a_folder_is_named() -> None:
    """The error names the column, not the system's error number."""
    with pytest.raises(PermanentError, match="partition value of carrier makes a folder name"):
        folder_part("carrier", "x" * 250)
