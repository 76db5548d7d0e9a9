"""``FILE:FUNCTION`` of this machine: what is read, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from connectors.udf import Form, load
from connectors.udf.files import BYTES_MAX
from transforms.errors import ConfigError


def test_function_is_loaded_with_its_form(tmp_path: Path) -> None:
    """The text comes along: the file is not needed any more."""
    file = tmp_path / "clean.py"
    file.write_text("def clean(t: str): return t  # ä\n", encoding="utf-8")
    source = load(f"{file}:clean")
    assert (source.path, source.function, source.form) == (str(file), "clean", Form.TEXT)
    assert source.text == file.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("clean.py", "must name a file and a function"),
        (":clean", "must name a file and a function"),
        ("clean.py:", "must name a file and a function"),
        ("clean.py:clean()", "must name a file and a function"),
        ("gs://bucket/clean.py", "must name a file and a function"),
        ("clean.py:a..b", "must name a file and a function"),
        ("clean:clean", "must name a file of Python or JavaScript"),
        ("no_such.py:clean", "can't be read: there is no such file"),
        (".:clean", "must name a file of Python"),
        ("s3://bucket/clean.py:clean", "neither on this machine nor on Cloud Storage"),
    ],
)
def test_other_texts_are_refused(text: str, rule: str) -> None:
    """With the form that is wanted."""
    with pytest.raises(ConfigError, match=rule) as raised:
        load(text)
    assert raised.value.name == "udf"
    assert raised.value.fix


def test_other_files_are_refused(tmp_path: Path) -> None:
    """Folders, data, and what is no text."""
    (tmp_path / "folder.py").mkdir()
    (tmp_path / "large.py").write_bytes(b"#" * (BYTES_MAX + 1))
    (tmp_path / "latin.py").write_bytes(b"# \xe4")
    for name, rule in (("folder", "can't be read"), ("large", "more than"), ("latin", "UTF-8")):
        with pytest.raises(ConfigError, match=rule):
            load(f"{tmp_path}/{name}.py:f")


def test_mistake_in_the_file_is_told_at_once(tmp_path: Path) -> None:
    """With its line: see the tests of ``Compiled``."""
    (tmp_path / "bad.py").write_text("def f(row):\n  return (\n")
    with pytest.raises(ConfigError, match=r"bad.py.*does not compile: .* \(bad.py:2\)"):
        load(f"{tmp_path}/bad.py:f")
