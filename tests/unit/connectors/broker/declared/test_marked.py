"""YAML with line numbers."""

from pathlib import Path
from typing import Any

import pytest

from connectors.broker.declared.marked import read_marked
from connectors.broker.errors import BadFile


def marked(tmp_path: Path, text: str) -> Any:
    path = tmp_path / "topics.yaml"
    path.write_text(text)
    return read_marked(path)


def test_values_know_their_lines(tmp_path: Path) -> None:
    """A field stands where its name does, an entry of a list where it begins."""
    found = marked(tmp_path, "a:\n  - b: 1\n    c:\n      d\n")
    assert found.plain() == {"a": [{"b": 1, "c": "d"}]}
    (entry,) = found.value["a"].value
    assert (found.value["a"].line, entry.line) == (1, 2)
    assert [each.line for each in entry.value.values()] == [2, 3]


@pytest.mark.parametrize(("text", "value"), [
    ("yes", "yes"), ("on", "on"), ("2026-01-01", "2026-01-01"), ("0o17", "0o17"), ("600s", "600s"),
    ("1_000", "1_000"), ("true", True), ("-7", -7), ("1.5", 1.5), ("null", None), ("~", None),
    ("'7'", "7"), ("", None), ("1:30", "1:30"),
])  # fmt: skip
def test_scalars_are_those_of_json(tmp_path: Path, text: str, value: object) -> None:
    """Words and dates are texts; YAML 1.1 would make them something else."""
    found = marked(tmp_path, f"a: {text}\n").plain()["a"]
    assert (found, type(found)) == (value, type(value))


def test_halves_of_characters_become_one(tmp_path: Path) -> None:
    """As JSON writes what UTF-16 has in two; a half alone is no text."""
    assert marked(tmp_path, '{"a": "x\\ud83d\\ude00"}').plain() == {"a": "x\U0001f600"}
    with pytest.raises(BadFile, match=r":2: has the half of a character"):
        marked(tmp_path, '{"b": 1,\n "a": "\\ud83d"}')


def test_json_is_read(tmp_path: Path) -> None:
    """It is YAML as well."""
    assert marked(tmp_path, '{"a": [{"b": "\\u00e9"}], "c": {}}').plain() == {
        "a": [{"b": "é"}], "c": {},
    }  # fmt: skip


@pytest.mark.parametrize(("text", "line", "says"), [
    ("a: 1\nb: [\n", 3, "no YAML"), ("a: 1\nb: 2\na: 3\n", 3, "a is given twice; first in line 1"),
    ("a:\n  ? [b]\n  : 1\n", 2, "must be a text"), ("a: !!python/name:os.system x", 1, "no YAML"),
    ("a: !!set {b}", 1, "tag"), ("&a [*a]", 1, "nested too deeply"), ("a: 1\n---\nb: 1\n", 2, "no"),
    ("a: \x00", 1, "no YAML"),
])  # fmt: skip
def test_bad_files_are_refused_at_their_line(
    tmp_path: Path, text: str, line: int, says: str
) -> None:
    """The text names the file, the line and the rule."""
    with pytest.raises(BadFile, match=rf"topics\.yaml:{line}: .*{says}"):
        marked(tmp_path, text)


def test_an_empty_file_holds_nothing(tmp_path: Path) -> None:
    """Nor does one with comments alone."""
    assert marked(tmp_path, "# nothing\n").plain() is None
