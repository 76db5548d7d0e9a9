"""Mappings of steps: pairs and files."""

from pathlib import Path

import pytest

from pipelines.params import ConfigError
from templates.launch.transform_names import transform_names


def test_pairs_and_files_come_together(tmp_path: Path) -> None:
    """YAML and JSON; an empty name says that a step is gone."""
    yaml, json = tmp_path / "names.yaml", tmp_path / "names.json"
    yaml.write_text("Parse/ParDo: Read/Parse\nOld: ''\n")
    json.write_text('{"A": "B"}')
    assert transform_names([str(yaml), "C=D", str(json), "E="]) == {
        "Parse/ParDo": "Read/Parse", "Old": "", "C": "D", "A": "B", "E": "",
    }  # fmt: skip
    assert transform_names([]) == {}


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        ("- A\n", ":1: must hold OLD: NEW"),
        ("A: B\nC: 1\n", ":2: C=1: must be the name of a step"),
        ("A: B\nA: C\n", ":2: A is given twice"),
        ("A: [\n", ":2: no YAML"),
    ],
)
def test_a_bad_file_is_told_with_its_line(tmp_path: Path, content: str, rule: str) -> None:
    """And what it should hold."""
    path = tmp_path / "names.yaml"
    path.write_text(content)
    with pytest.raises(ConfigError) as caught:
        transform_names([str(path)])
    assert f"{path}{rule}" in str(caught.value)


def test_what_is_neither() -> None:
    """A path that is not there has no =."""
    with pytest.raises(ConfigError, match=r"'none\.yaml': is no file, and no OLD=NEW"):
        transform_names(["none.yaml"])
    with pytest.raises(ConfigError, match="maps 'A' a second time"):
        transform_names(["A=B", "A=C"])
