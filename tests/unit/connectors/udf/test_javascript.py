"""Functions in JavaScript: text to text, in an engine of their own."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from connectors.udf import Form, Plan, Result, load, opened
from connectors.udf import javascript as udf_javascript
from tests.udfs import column, errors, messages, require_account
from transforms import kinds
from transforms.errors import ConfigError

pytest.importorskip("py_mini_racer")


def applied(
    folder: Path, text: str, *payloads: bytes, timeout_s: float | None = None,
    plan: Plan | None = None,
) -> Result:  # fmt: skip
    """Apply the function f of a source text."""
    file = folder / "clean.js"
    file.write_text(text, encoding="utf-8")
    source = load(f"{file}:f")
    assert source.form is Form.TEXT
    made = opened(source, plan or Plan(), timeout_s)
    try:
        result = made.apply(messages(*payloads))
        assert made.apply(messages()) == Result()
    finally:
        made.close()
    require_account(result, len(payloads))
    return result


def test_payload_is_changed_and_all_else_stays(tmp_path: Path) -> None:
    """State of the file is kept from row to row."""
    text = """
        let count = 0;
        function f(inJson) {
          const row = JSON.parse(inJson);
          row.count = ++count;
          row.name = row.name.toUpperCase();
          return JSON.stringify(row);
        }"""
    (ok,) = applied(tmp_path, text, '{"name":"ä"}'.encode(), b'{"name":"\\ud83d\\ude00"}').ok
    assert ok.column("data").to_pylist() == [
        '{"name":"Ä","count":1}'.encode(), '{"name":"😀","count":2}'.encode(),
    ]  # fmt: skip
    assert ok.column("message_id").to_pylist() == ["0", "1"]


def test_null_and_undefined_drop(tmp_path: Path) -> None:
    """An empty text does not."""
    text = "const f = (x) => x === 'a' ? null : x === 'b' ? undefined : ''"
    result = applied(tmp_path, text, b"a", b"b", b"c")
    assert (column(result.ok, "data"), result.dropped) == ([b""], 2)


def test_exceptions_and_wrong_results_are_dead(tmp_path: Path) -> None:
    """With the line of the file; the others go on."""
    text = """function f(x) {
  if (x === "throw") throw new RangeError("too far");
  if (x === "text") throw "just text";
  if (x === "odd") throw {get stack() { throw 1; }, toString() { throw 2; }};
  if (x === "deep") return f(x);
  if (x === "number") return 7;
  if (x === "half") return "\\ud800";
  return x;
}"""
    payloads = (b"throw", b"text", b"odd", b"deep", b"number", b"half", b"\xff", b"ok")
    result = applied(tmp_path, text, *payloads)
    assert column(result.ok, "data") == [b"ok"]
    found = errors(result)
    assert found["0"] == (kinds.UDF_ERROR, "RangeError: too far (clean.js:2)")
    assert found["1"] == (kinds.UDF_ERROR, "just text")
    assert found["2"] == (kinds.UDF_ERROR, "an error")
    assert found["3"][1].startswith("RangeError: Maximum call stack size exceeded")
    text = "The function returned number, and not text, null or undefined"
    assert found["4"] == (kinds.UDF_RESULT, text)
    assert found["5"][0] == kinds.UDF_RESULT
    assert found["6"] == (kinds.INVALID_UTF8, "The payload is not valid UTF-8")


def test_busy_loop_is_ended_and_its_neighbours_go_on(tmp_path: Path) -> None:
    """Those before it are not run again."""
    text = """
        let calls = 0;
        function f(x) { calls++; while (x === "slow") {} return x + calls; }"""
    result = applied(tmp_path, text, b"a", b"slow", b"b", b"slow", b"c", timeout_s=0.5)
    assert column(result.ok, "data") == [b"a1", b"b3", b"c5"]
    reason = (kinds.UDF_TIMEOUT, "It took longer than 0.5 s")
    assert errors(result) == {"1": reason, "3": reason}


def test_limit_that_strikes_when_all_is_done_costs_no_row(tmp_path: Path) -> None:
    """The engine may be at its answer then."""
    text = """
        let first = true;
        function f(x) {
          Array.prototype.toJSON = function () {
            if (first) { first = false; while (true) {} }
            return this;
          };
          return x;
        }"""
    result = applied(tmp_path, text, b"a", b"b", timeout_s=0.2)
    assert (column(result.ok, "data"), errors(result)) == ([b"a", b"b"], {})


def test_limit_is_for_a_row_and_not_for_all(tmp_path: Path) -> None:
    """Many rows may take many times as long."""
    text = "function f(x) { const end = Date.now() + 50; while (Date.now() < end) {} return x }"
    result = applied(tmp_path, text, *[b"x"] * 20, timeout_s=0.5)
    assert len(column(result.ok, "data")) == 20


def test_memory_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The row that takes too much is dead, and a new engine serves the others."""
    monkeypatch.setattr(udf_javascript, "ENGINE_BYTES_MAX", 32 * 2**20)
    text = """
        const kept = [];
        function f(x) {
          while (x === "large") kept.push(new Array(100000).fill(kept.length));
          return x;
        }"""
    result = applied(tmp_path, text, b"a", b"large", b"b")
    assert column(result.ok, "data") == [b"a", b"b"]
    assert errors(result) == {"1": (kinds.UDF_ERROR, "It took more memory than 32 MiB")}


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("function f(x) {", r"can't be loaded: .*SyntaxError"),
        ("\nlet a = b;\nfunction f(x) {}", r"can't be loaded: .*\(clean.js:2\)"),
        ("function g(x) {}", "has no function f"),
        ("const f = 7", "has no function f"),
        ("async function f(x) {}", "f is a AsyncFunction"),
        ("function* f(x) {}", "f is a GeneratorFunction"),
        ("class f {}", "f is a class"),
        ("while (true) {}", "can't be loaded: it took longer than"),
    ],
)
def test_files_that_cannot_be_used_are_refused(
    text: str, rule: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything starts."""
    monkeypatch.setattr(udf_javascript, "LOAD_S_MAX", 0.3)
    with pytest.raises(ConfigError, match=rule) as raised:
        applied(tmp_path, text, b"x")
    assert raised.value.name == "udf"


def test_names_are_those_of_javascript(tmp_path: Path) -> None:
    """They may have a ``$``, and dots lead into objects."""
    file = tmp_path / "clean.js"
    file.write_text("const $tools = {$f: (x) => x + '!'};")
    made = opened(load(f"{file}:$tools.$f"), Plan())
    assert column(made.apply(messages(b"a")).ok, "data") == [b"a!"]
    made.close()


def test_missing_engine_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With what to install."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"mini-racer is not installed.*pip install"):
        applied(tmp_path, "function f(x) { return x }", b"x")


def test_function_cannot_break_what_calls_it(tmp_path: Path) -> None:
    """It may change JavaScript itself."""
    text = """
        JSON.stringify = JSON.parse = String.prototype.isWellFormed = Date.now = () => "broken";
        globalThis.String = null;
        function f(x) { return x + "!" }"""
    assert column(applied(tmp_path, text, b"a", b"b").ok, "data") == [b"a!", b"b!"]


def test_function_that_breaks_the_engine_has_dead_rows(tmp_path: Path) -> None:
    """What the engine itself needs is the user's to break, row by row."""
    text = """
        function f(x) { if (x === "break") Array.prototype.push = () => 0; return x }"""
    result = applied(tmp_path, text, b"a", b"break", b"b")
    assert column(result.ok, "data") == [b"a", b"break", b"b"]
    result = applied(tmp_path, "Array.prototype.push = () => 0;" + text, b"a", b"b")
    assert all(text.startswith("The engine failed: ") for _, text in errors(result).values())
    assert len(errors(result)) == 2
