"""The pages of the pipelines have the parameters that there are, and nothing is forgotten."""

import re
from pathlib import Path

import pytest

from pipelines import docs
from tests.commands import PIPELINES, module_of


@pytest.mark.parametrize("path", sorted(docs.PAGES.glob("*.md")), ids=lambda path: path.stem)
def test_page_is_as_the_code_says(path: Path) -> None:
    """A parameter that was changed is changed in its page by ``python -m pipelines.docs``."""
    text = path.read_text(encoding="utf-8")
    assert docs.written(text) == text, "stale: run python -m pipelines.docs"


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_page_has_all_that_is_asked_of_it(pipeline: str) -> None:
    """Commands, output, guarantees, parameters and errors, and a link from the first page."""
    text = (docs.PAGES / f"{pipeline}.md").read_text(encoding="utf-8")
    found = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert found == ["Run it", "Output", "Guarantees", "Parameters", "Errors"]
    assert f"<!-- parameters of {pipeline} -->" in text
    assert f"]({pipeline}.md)" in (docs.PAGES / "README.md").read_text(encoding="utf-8")
    for spec in docs.specs(module_of(pipeline).Params):
        assert f"| `{spec.flag}` |" in text


def test_stale_page_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What stands between the comments is replaced, and the page named; then there is no more."""
    page = tmp_path / "lake.md"
    page.write_text("# A\n<!-- parameters of lake_compact -->\nold\n<!-- end -->\nmore\n")
    assert docs.main(tmp_path) == 0
    assert str(page) in capsys.readouterr().out
    text = page.read_text()
    assert "\nold\n" not in text
    assert "`--file_bytes`" in text
    assert text.startswith("# A\n")
    assert text.endswith("<!-- end -->\nmore\n")
    assert docs.main(tmp_path) == 0
    assert capsys.readouterr().out == ""


def test_bars_do_not_end_a_cell() -> None:
    """Each row of a table has as many cells as its head, whatever its text."""
    for path in docs.PAGES.glob("*.md"):
        text = path.read_text(encoding="utf-8")
        for part in re.findall(r"<!-- (?:param|option).*?<!-- end -->", text, re.DOTALL):
            for line in re.findall(r"^\|.*$", part, re.MULTILINE):
                assert len(re.findall(r"(?<!\\)\|", line)) == 5, line
