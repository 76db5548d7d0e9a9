"""Folders by the start of the window."""

from __future__ import annotations

import pytest

from connectors.storage.folders import TimeFolders
from transforms.errors import ConfigError, PermanentError

HOUR_US = 3_600_000_000
START_US = 1_769_850_000_000_000  # 2026-01-31T09:00:00Z
WINDOW = (START_US, START_US + HOUR_US)


@pytest.mark.parametrize(
    ("template", "folder"),
    [("%Y/%m/%d/%H", "2026/01/31/09"), ("dt=%Y-%m-%d/h=%H%M%S", "dt=2026-01-31/h=090000"),
     ("%Y/%j", "2026/031"), ("plain", "plain"), ("", "")],
)  # fmt: skip
def test_parts_are_those_of_the_start_in_utc(template: str, folder: str) -> None:
    """Whatever zone this machine is in."""
    assert TimeFolders(template).folder(WINDOW) == folder


def test_years_sort() -> None:
    """Four digits always, which strftime does not promise."""
    assert TimeFolders("%Y").folder((-62_135_596_800_000_000, 0)) == "0001"


@pytest.mark.parametrize("template", ["%y", "%Y/%", "%%", "%Y/%B"])
def test_unknown_parts_are_refused(template: str) -> None:
    """The error names the part and those there are."""
    with pytest.raises(ConfigError, match=r"unknown part %.*Use %Y, %m"):
        TimeFolders(template)


@pytest.mark.parametrize("template", ["/a", "a/", "a//b", "../a", "a/.b", "_a"])
def test_names_that_readers_skip_or_that_leave_the_root_are_refused(template: str) -> None:
    """Rows in them would never be found."""
    with pytest.raises(ConfigError, match="between single slashes"):
        TimeFolders(template)


@pytest.mark.parametrize("window", [None, (-(2**62), 0), (2**62, 2**62 + 1)])
def test_rows_without_a_start_are_refused(window: tuple[int, int] | None) -> None:
    """Nothing could fill the template in."""
    with pytest.raises(PermanentError, match="wants a window with a start"):
        TimeFolders("%Y").folder(window)
