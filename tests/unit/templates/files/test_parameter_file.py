"""Parameter files: YAML or JSON, whose values have types and lines."""

from pathlib import Path

import pytest

from pipelines.params import ConfigError, Spec
from templates.catalogue import find
from templates.files.parameter_file import overlaid, read, typed_text

SPECS = {spec.name: spec for spec in find("archive_replay").parameters} | {
    spec.name: spec for spec in find("pubsub_to_lake").parameters
}


def written(tmp_path: Path, text: str, name: str = "params.yaml") -> Path:
    path = tmp_path / name
    path.write_text(text)
    return path


def text_of(tmp_path: Path, name: str, value: str) -> str:
    given = read(written(tmp_path, f"{name}: {value}\n"))
    return typed_text(SPECS[name], given[name])


@pytest.mark.parametrize(
    "text",
    [
        "output: ./lake\nshards: 2\n",
        '{"output": "./lake",\n "shards": 2}',
        "# a comment\n\noutput: './lake'\nshards: 2\n",
    ],
)
def test_yaml_and_json_give_the_same(tmp_path: Path, text: str) -> None:
    """Names, values and the lines on which they stand."""
    found = read(written(tmp_path, text))
    assert {name: given.value for name, given in found.items()} == {"output": "./lake", "shards": 2}
    lines = text.splitlines()
    for name, given in found.items():
        assert name in lines[given.line - 1]


def test_names_may_have_dashes_and_a_file_may_name_its_schema(tmp_path: Path) -> None:
    """``$schema`` is for editors and no parameter."""
    found = read(written(tmp_path, '{"$schema": "x.json", "dead-letter": "./dead"}'))
    assert list(found) == ["dead_letter"]


def test_an_empty_file_gives_nothing(tmp_path: Path) -> None:
    """So does one with comments alone."""
    assert read(written(tmp_path, "# nothing yet\n")) == {}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("output: [1\n", "params.yaml:2: no YAML"),
        ("- output\n", "params.yaml:1: must hold a name and a value on each line"),
        ("dead_letter: a\ndead-letter: b\n", "params.yaml:2: dead-letter: is given twice"),
        (
            "output: a\noutput: b\n",
            "params.yaml:2: output is given twice; first in line 1. Remove one of the two",
        ),
        (
            "output:\n\ta\n",
            (
                r"params.yaml:2: no YAML: found character '\t' that cannot start any token. "
                "Indent with spaces, not with tabs"
            ),
        ),
        ("output: !!python/object:os.system x\n", "params.yaml:1"),
    ],
)
def test_a_file_that_is_none_is_refused_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, expected: str
) -> None:
    """Nothing is guessed, and nothing of it is executed."""
    monkeypatch.chdir(tmp_path)
    written(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        read(Path("params.yaml"))
    assert str(caught.value).startswith(expected)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    """And so is a folder in its place."""
    with pytest.raises(ConfigError, match="can't be read"):
        read(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match="can't be read"):
        read(tmp_path)


def test_overlays_count_in_their_order(tmp_path: Path) -> None:
    """The last file that gives a value counts, and is named by errors; null removes."""
    base = written(tmp_path, "output: ./lake\nwindow: 1h\nshards: 1\n", "base.yaml")
    prod = written(tmp_path, "window: 5m\nshards: null\n", "prod.yaml")
    found = overlaid([base, prod])
    assert {name: given.value for name, given in found.items()} == {
        "output": "./lake", "window": "5m",
    }  # fmt: skip
    assert found["window"].place == f"{prod}:1"
    assert found["output"].place == f"{base}:1"
    assert overlaid([prod, base])["window"].value == "1h"


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("shards", "4", "4"),
        ("shards", "1e3", "1000"),
        ("speed", "0.5", "0.5"),
        ("add_columns", "true", "true"),
        ("add_columns", "false", "false"),
        ("dedup_by", "[a, 'attribute:b']", "a,attribute:b"),
        ("dedup_by", "a,b", "a,b"),
        ("dedup_by", "[]", ""),
        ("shards", '"${env:N}"', "${env:N}"),
        ("where", """ 'attribute:a = "x, y" AND n > 5'""", 'attribute:a = "x, y" AND n > 5'),
        ("where", '"attribute:a = \\"x\'y\\""', 'attribute:a = "x\'y"'),
        ("output", "2026-01-01", "2026-01-01"),
        ("output", "yes", "yes"),
    ],
)
def test_values_become_the_texts_of_flags(tmp_path: Path, name: str, value: str, text: str) -> None:
    """Commas and quotes stay as they are; what looks like a date or a switch is a text."""
    assert text_of(tmp_path, name, value) == text


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("shards", '"4"', "is a text, and must be a number"),
        ("shards", "true", "is a boolean, and must be a number"),
        ("add_columns", "yes", "is a text, and must be true or false"),
        ("add_columns", "1", "is a number, and must be true or false"),
        ("output", "5", "is a number, and must be a text"),
        ("output", "true", "is a boolean, and must be a text"),
        ("output", "[a]", "is a list, and must be a single value"),
        ("output", "{a: b}", "is a mapping"),
        ("dedup_by", "['a,b']", "has an item with ','"),
        ("dedup_by", "[1]", "has the item 1, which is no text"),
    ],
)
def test_values_of_other_types_are_refused(
    tmp_path: Path, name: str, value: str, rule: str
) -> None:
    """The error has the file, the line, the name, the value and what to do."""
    with pytest.raises(ConfigError) as caught:
        text_of(tmp_path, name, value)
    assert caught.value.name == f"{tmp_path / 'params.yaml'}:1: {name}"
    assert caught.value.rule.startswith(rule)
    assert caught.value.fix


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("idle", "2", "idle=2: must be a whole number and a unit: ms, s, m, h or d. "),
        ("idle", "2", "Write for example 2s"),
        ("window", "2", "Write for example 2s"),
        ("window", "true", "Write for example 500ms, 30s, 5m, 1h or 1d"),
        ("table_format", "2", "must be parquet, delta or iceberg"),
        ("output", "5", "Put it in quotes"),
    ],
)
def test_no_quotes_are_advised_that_lead_to_the_next_error(
    tmp_path: Path, name: str, value: str, text: str
) -> None:
    """The rule of the parameter itself says what to write instead."""
    with pytest.raises(ConfigError) as caught:
        text_of(tmp_path, name, value)
    assert text in str(caught.value)
    assert ("quotes" in caught.value.fix) is ("quotes" in text)


def test_every_parameter_has_a_type_that_a_file_knows() -> None:
    """A kind of a new type would have no words in errors."""
    assert {spec.kind.type for spec in SPECS.values()} == {"string", "integer", "number", "boolean"}
    assert all(isinstance(spec, Spec) for spec in SPECS.values())
