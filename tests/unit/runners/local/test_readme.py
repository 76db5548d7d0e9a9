"""The README of the local runner says what is so."""

import re
from pathlib import Path

from tests.conformance.beam.expected import ELSEWHERE, FAILS

README = Path(__file__).parents[4] / "runners" / "local" / "README.md"


def test_readme_lists_what_is_not_shown_by_beams_tests() -> None:
    """Each test of Beam's that fails or is not run stands there, with the reason, in order."""
    _, text = README.read_text().split("## Beam's own tests\n")
    failing, elsewhere = text.split("\nThese are not run:\n")
    for table, listed in ((failing, FAILS), (elsewhere, ELSEWHERE)):
        assert re.findall(r"^\| `(.*)` \| (.*) \|$", table, re.MULTILINE) == list(listed.items())
