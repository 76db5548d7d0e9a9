"""Every link of the pages leads somewhere where they lie, as on GitHub."""

import os
from pathlib import PurePosixPath

import pytest

from tests.commands import ROOT
from tests.pages import PAGES, anchors, links


def broken(page: str, target: str) -> str | None:
    """Return why a link leads nowhere, None if it leads somewhere."""
    path, _, anchor = target.partition("#")
    place = PurePosixPath(os.path.normpath(PurePosixPath(page).parent / path)) if path else page
    if not (ROOT / place).is_file():
        return "no such file: folders and what git ignores can't be linked to"
    if anchor and str(place) not in PAGES:
        return "only pages have anchors"
    if anchor and anchor not in anchors(str(place)):
        return f"that page has {sorted(anchors(str(place)))}"
    return None


@pytest.mark.parametrize("page", PAGES)
def test_links(page: str) -> None:
    """Files are there, and headings have the name behind the #."""
    ours = [each for each in links(page) if "://" not in each and not each.startswith("mailto:")]
    assert {each: why for each in ours if (why := broken(page, each))} == {}
