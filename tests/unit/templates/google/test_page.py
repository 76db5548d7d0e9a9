"""The tables of the page: every parameter with what becomes of it."""

import re

from templates.google.absent import ABSENT
from templates.google.equivalents import EQUIVALENTS
from templates.google.page import PAGE, written
from tests.commands import ROOT
from tests.google_templates import PUBLISHED

EMPTY = "# Title\n\n<!-- equivalents -->\nold\n<!-- end -->\n\nEnd\n"


def test_what_stands_between_the_marks_is_made() -> None:
    """What is around them stays; a second time nothing changes."""
    made = written(EMPTY)
    assert made.startswith("# Title\n\n<!-- equivalents -->\n\n| Google's template |")
    assert made.endswith("<!-- end -->\n\nEnd\n")
    assert "\nold\n" not in made
    assert written(made) == made


def test_every_template_and_parameter_is_there() -> None:
    """A row for each, with a mark if it can't be taken, and what replaces it if it can."""
    parts = re.split(r"^### ", written(EMPTY), flags=re.MULTILINE)
    sections = {part.partition("\n")[0]: part for part in parts[1:]}
    assert [*sections] == [*(each.google for each in EQUIVALENTS), "Without equivalent"]
    for google, names in PUBLISHED.items():
        for name in names.split():
            [row] = [
                line for line in sections[google].splitlines() if line.startswith(f"| `{name}` |")
            ]
            assert re.search(r"not needed|\*\*|the same|`\w+` \|", row.partition("` |")[2]), row
    for absent in ABSENT:
        for name in absent.google:
            assert f"`{name}`" in sections["Without equivalent"]


def test_cells_of_a_row_are_as_many_as_of_its_head() -> None:
    """Bars within a cell are escaped."""
    width = 0
    for line in (ROOT / PAGE).read_text().splitlines():
        if not line.startswith("|"):
            width = 0
            continue
        cells = len(re.findall(r"(?<!\\)\|", line))
        width = width or cells
        assert cells == width, line
