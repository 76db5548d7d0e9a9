"""From source text to a function, and errors that name file, line and fix."""

from __future__ import annotations

import pickle
import sys
import traceback

import pytest

from transforms.errors import ConfigError
from transforms.udf import Compiled, Form, Language, Source
from transforms.udf.compiled import where

PATH = "gs://bucket/folder/clean.py"


def test_function_is_found_and_its_form() -> None:
    """Dots lead into objects."""
    compiled = Compiled(
        PATH, "Tools.clean", "class Tools:\n  @staticmethod\n  def clean(t: str): return t"
    )
    assert compiled.signature.form is Form.TEXT
    assert compiled.call("a") == "a"
    compiled.close()


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("def f(row:\n  pass", r"does not compile: .* \(clean.py:1\)"),
        ("def f(row):\n  return 1 +", r"does not compile: invalid syntax \(clean.py:2\)"),
        ("def f(row): ...\0", "does not compile: source code string cannot contain null bytes"),
        ("a = 1\nb = 1 / 0", r"can't be loaded: ZeroDivisionError: .* \(clean.py:2\)"),
        ("import no_such", r"can't be loaded: ModuleNotFoundError: .*no_such' \(clean.py:1\)"),
        ("import sys\nsys.exit(2)", r"can't be loaded: SystemExit: 2 \(clean.py:2\)"),
        ("def g(row): ...\nclass C: ...", "has no function f"),
        ("\ndef f(): ...", r"f must have a parameter \(clean.py:2\)"),
        ("\n\nasync def f(row): ...", r"f is an async function.*\(clean.py:3\)"),
    ],
)
def test_errors_name_file_line_and_fix(text: str, rule: str) -> None:
    """Whatever is wrong is said before anything starts."""
    modules = set(sys.modules)
    with pytest.raises(ConfigError, match=rule) as raised:
        Compiled(PATH, "f", text)
    assert raised.value.name == "udf"
    assert str(raised.value.value).startswith(PATH)
    assert raised.value.fix
    assert set(sys.modules) == modules


def test_missing_function_is_told_what_there_is() -> None:
    """What was imported is not of the file."""
    with pytest.raises(ConfigError, match=r"which has: g, C$"):
        Compiled(PATH, "f", "from json import dumps\ndef g(row): ...\nclass C: ...\nx = 1")


def test_file_must_stand_alone() -> None:
    """Modules beside the file are not taken along; the fix says so."""
    with pytest.raises(ConfigError, match="must stand alone"):
        Compiled(PATH, "f", "from . import helper\ndef f(row): ...")


def test_two_of_one_name_share_nothing() -> None:
    """Each instance has its own globals."""
    counting = "count = 0\ndef f(row):\n  global count\n  count += 1\n  return count"
    one, other = Compiled(PATH, "f", counting), Compiled(PATH, "f", counting)
    different = Compiled(PATH, "f", "def f(row): return -1")
    assert [one.call({}), one.call({}), other.call({}), different.call({})] == [1, 2, 1, -1]
    for each in (one, other, different):
        each.close()


def test_module_is_not_main_and_can_hold_data_classes() -> None:
    """What stands under ``if __name__`` does not run; classes find their module by its name."""
    text = """
from __future__ import annotations
import dataclasses, typing
@dataclasses.dataclass
class Point:
    x: int = 0
    y: typing.ClassVar[int] = 1
if __name__ == "__main__":
    raise RuntimeError
def f(row):
    return dataclasses.asdict(Point(row["x"]))
"""
    compiled = Compiled(PATH, "f", text)
    assert compiled.call({"x": 7}) == {"x": 7}
    compiled.close()


def test_traceback_shows_the_lines_of_a_file_that_is_not_here() -> None:
    """The place of an error is the innermost line of the file."""
    text = (
        "import json\ndef g(text):\n  return json.loads(text)\ndef f(text: str):\n  return g(text)"
    )
    compiled = Compiled(PATH, "f", text)
    with pytest.raises(ValueError, match="Expecting value") as raised:
        compiled.call("x")
    assert where(raised.value, PATH) == " (clean.py:3)"
    assert "return json.loads(text)" in "".join(traceback.format_exception(raised.value))
    assert where(ValueError(), PATH) == ""
    compiled.close()


def test_source_travels_as_text() -> None:
    """It is small, and equal where it arrives."""
    source = Source(PATH, "f", "def f(row): ...", Form.ROW)
    assert pickle.loads(pickle.dumps(source)) == source
    assert len(pickle.dumps(source)) < 300
    assert source.language is Language.PYTHON
    assert Source("a.js", "f", "", Form.TEXT).language is Language.JAVASCRIPT
    assert str(source) == f"{PATH}:f"
    assert source.version != Source(PATH, "f", "", Form.ROW).version
