"""What is derived is checked in, and not stale."""

from pathlib import Path

import pytest
import yaml

from templates.catalogue import TEMPLATES, Template
from templates.derived.generate import FOLDER, stale, write
from templates.files.checking import check


def test_nothing_is_stale() -> None:
    """Who changes a parameter runs ``python -m templates generate``."""
    found = [str(path.relative_to(FOLDER.parent)) for path, _ in stale()]
    assert found == [], "run python -m templates generate"


def test_stale_files_are_written_and_surplus_ones_removed(tmp_path: Path) -> None:
    """Then a second time there is nothing to do."""
    written = write(tmp_path)
    assert len(written) == 1 + 7 * len(TEMPLATES)
    assert write(tmp_path) == []
    page = tmp_path / "pubsub_to_lake" / "README.md"
    page.write_text("old")
    surplus = tmp_path / "pubsub_to_lake" / "left.json"
    surplus.write_text("{}")
    assert sorted(write(tmp_path)) == [page, surplus]
    assert not surplus.exists()
    assert page.read_text().startswith("# Pub/Sub to a Parquet lake")


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda each: each.name)
def test_the_file_on_each_page_is_good(
    template: Template, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The parameter file that a page shows passes the checks, given the files that it names."""
    text = (FOLDER / template.name / "README.md").read_text()
    shown = text.partition("```yaml\n")[2].partition("```")[0]
    (tmp_path / "flights.json").write_text(
        '[{"name": "carrier", "type": "STRING"}, {"name": "dep_delay", "type": "INTEGER"}]'
    )
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(shown.replace("gs://my-bucket/flights.json", "flights.json"))
    assert yaml.safe_load(shown)
    assert [str(each) for each in check(template, [Path("params.yaml")]).problems] == []
