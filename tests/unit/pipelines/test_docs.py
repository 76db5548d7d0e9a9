"""The pages of the pipelines have the parameters that there are, and nothing is forgotten."""

import re
from pathlib import Path

import pytest

from pipelines import docs
from tests.commands import PIPELINES, module_of
from transforms import metrics


@pytest.mark.parametrize("path", sorted(docs.DOCS.rglob("*.md")), ids=lambda path: path.stem)
def test_page_is_as_the_code_says(path: Path) -> None:
    """A parameter that was changed is changed in its page by ``python -m pipelines.docs``."""
    text = path.read_text(encoding="utf-8")
    assert docs.written(text) == text, "stale: run python -m pipelines.docs"


@pytest.mark.parametrize("pipeline", PIPELINES)
def test_page_has_all_that_is_asked_of_it(pipeline: str) -> None:
    """What it does, promises, takes, counts and costs, and a link from the first page."""
    text = (docs.PAGES / f"{pipeline}.md").read_text(encoding="utf-8")
    found = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert found == [
        "Run it", "Output", "As a template", "Guarantees", "Parameters", "Monitoring", "Cost",
        "Errors",
    ]  # fmt: skip
    assert f"<!-- parameters of {pipeline} -->" in text
    assert f"<!-- commands of {pipeline} -->" in text
    assert f"]({pipeline}.md)" in (docs.PAGES / "README.md").read_text(encoding="utf-8")
    for spec in docs.specs(module_of(pipeline).Params):
        assert f"| `{spec.flag}` |" in text


def test_metrics_are_told_of_as_dataflow_has_them() -> None:
    """Every counter of ours is a custom counter there, but what only the local runner counts."""
    table = docs.metrics_table()
    for metric in metrics.TABLE:
        (line,) = [line for line in table.splitlines() if line.startswith(f"| `{metric.name}` |")]
        elsewhere = metric in (metrics.LATE_ROWS, metrics.MESSAGES_REDELIVERED, metrics.BACKLOG)
        assert ("custom counter" in line) == (not elsewhere)


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
    for path in docs.DOCS.rglob("*.md"):
        text = path.read_text(encoding="utf-8")
        for part in re.findall(r"<!-- (?:param|option|metric).*?<!-- end -->", text, re.DOTALL):
            for line in re.findall(r"^\|.*$", part, re.MULTILINE):
                assert len(re.findall(r"(?<!\\)\|", line)) == 5, line
