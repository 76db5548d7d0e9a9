"""Single message transforms: what the functions get, may return, and may not do."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from connectors.broker import limits
from connectors.broker.errors import InvalidArgument
from connectors.broker.settings import Transform
from connectors.broker.udf import Fault, Message, Metadata, Outcome, Udfs

pytest.importorskip("py_mini_racer")

Run = Callable[..., Any]


@pytest.fixture
def run() -> Iterator[Run]:
    """Return how functions named f, g, ... are run on one message, or on several."""
    made: list[Udfs] = []

    def run_on(*codes: str, data: Any = ("{}",), attributes: dict[str, str] | None = None) -> Any:
        made.append(
            Udfs([Transform(name, code) for name, code in zip("fghijk", codes, strict=False)])
        )
        metadata = Metadata("7", "2026-01-02T03:04:05Z", "key")
        outcomes = made[-1].run([(Message(each, attributes or {}), metadata) for each in data])
        return outcomes[0] if len(outcomes) == 1 else outcomes

    yield run_on
    for each in made:
        each.close()


def test_function_changes_data_and_attributes(run: Run) -> None:
    """It gets both, and the metadata beside them."""
    code = """
      function f(message, metadata) {
        const value = JSON.parse(message.data);
        value.name = value.name.toUpperCase();
        return {data: JSON.stringify(value), attributes: {...message.attributes, ...metadata}};
      }"""
    changed = run(code, data=['{"name":"é"}'], attributes={"a": "b"})
    assert changed == Message(
        '{"name":"É"}',
        {
            "a": "b",
            "message_id": "7",
            "publish_time": "2026-01-02T03:04:05Z",
            "ordering_key": "key",
        },
    )


def test_null_drops_and_attributes_stay_unless_they_are_returned(run: Run) -> None:
    """Three messages, three outcomes."""
    code = """
      const f = (m) => m.data === "drop" ? null
        : m.data === "keep" ? {data: "kept"} : {data: "bare", attributes: {}};"""
    assert run(code, data=["drop", "keep", "strip"], attributes={"a": "b"}) == [
        None,
        Message("kept", {"a": "b"}),
        Message("bare", {}),
    ]


def test_functions_run_in_order_and_share_nothing(run: Run) -> None:
    """Each has its own names; a message that one drops does not reach the next."""
    first = "const s = 'x'; function f(m) { return m.data ? {data: m.data + s} : null; }"
    second = "const s = 'y'; function g(m) { return {data: m.data + s}; }"
    assert run(first, second, data=["a", ""]) == [Message("axy", {}), None]


def test_disabled_function_is_checked_and_not_run() -> None:
    """So that it can be enabled later."""
    off = Transform("f", "function f(m) { return null; }", disabled=True)
    udfs = Udfs([off])
    assert udfs.run([(Message("a", {}), Metadata())]) == [Message("a", {})]
    udfs.close()
    with pytest.raises(InvalidArgument, match="no function"):
        Udfs([Transform("g", off.code, disabled=True)])


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("throw new Error('no tail number')", "no tail number"),
        ("return undefined", "null or an object"),
        ("return {}", "null or an object"),
        ("return {data: 7}", "null or an object"),
        ("return {data: '', attributes: {a: 1}}", "must be strings"),
        ("return require('fs')", "require is not defined"),
        ("while (true) {}", "longer than"),
        ("return {data: '\\ud800'}", "no message"),
        ("return {data: '', attributes: {a: '\\ud800'}}", "no message"),
        ("return {data: '', attributes: ['a']}", "no message"),
        ("let n = 0; return {get data() { return n++ ? 7 : ''; }}", "no message"),
        ("throw Object.create(null)", "no message"),
    ],
)
def test_fault_of_a_function_is_told(run: Run, body: str, why: str) -> None:
    """Whatever it does wrong: the message was not transformed."""
    outcome = run(f"function f(m) {{ {body} }}")
    assert isinstance(outcome, Fault)
    assert why in outcome.why


@pytest.mark.parametrize(
    "change",
    [
        "JSON.stringify = () => '?'",
        "JSON.stringify = () => '[]'",
        "JSON.stringify = () => '\"[]\"'",
        "__run = () => 7",
    ],
)
def test_function_that_changes_what_runs_it_is_at_fault(change: str) -> None:
    """From the next message on; nobody else has its engine."""
    udfs = Udfs([Transform("f", f"function f(m) {{ {change}; return m; }}")])
    udfs.run([(Message("a", {}), Metadata())])
    outcomes = udfs.run([(Message("a", {}), Metadata())] * 2)
    udfs.close()
    assert [isinstance(each, Fault) for each in outcomes] == [True, True]


def test_fault_of_one_message_leaves_the_others_alone(run: Run) -> None:
    """Whether it throws or returns what can't be read."""
    code = "function f(m) { if (m.data === 'bad') throw 1; return m; }"
    good, bad = run(code, data=["good", "bad"])
    assert good == Message("good", {})
    assert isinstance(bad, Fault)
    code = "function f(m) { return m.data === 'half' ? {data: '\\udfff'} : m; }"
    outcomes: list[Outcome] = run(code, data=["good", "half", "good"])
    assert [isinstance(each, Fault) for each in outcomes] == [False, True, False]


def test_those_behind_one_that_took_too_long_are_not_run(run: Run) -> None:
    """And say so."""
    code = "function f(m) { while (m.data === 'slow'); return m; }"
    outcomes: list[Outcome] = run(code, data=["good", "slow", "good"])
    assert [isinstance(each, Fault) for each in outcomes] == [False, True, True]


def test_function_that_fills_the_memory_is_stopped(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the next message finds a fresh engine."""
    monkeypatch.setattr(limits, "UDF_BYTES_MAX", 30 << 20)
    monkeypatch.setattr(limits, "UDF_S_MAX", 20.0)
    code = """function f(m) {
      if (m.data === "big") { const a = []; while (true) a.push([...Array(100000).keys()]); }
      return m;
    }"""
    big, small = run(code, data=["big", "small"])
    assert isinstance(big, Fault)
    assert "bytes" in big.why
    assert isinstance(small, Fault)
    assert run(code, data=["small"]) == Message("small", {})


def test_a_thousand_messages_keep_their_order(run: Run) -> None:
    """They cross into the engine together."""
    data = [json.dumps({"n": n}) for n in range(1_000)]
    code = "function f(m) { const o = JSON.parse(m.data); return {data: String(o.n + 1)}; }"
    assert [each.data for each in run(code, data=data)] == [str(n + 1) for n in range(1_000)]


@pytest.mark.parametrize(
    "transforms",
    [
        [Transform("f", "function f( {")],
        [Transform("f", "function g(m) { return m; }")],
        [Transform("f", "while (true) {}")],
        [Transform("f g", "function f(m) { return m; }")],
        [Transform("", "function f(m) { return m; }")],
        [Transform("f", "function f(m) { return m; }")] * 2,
        [Transform(f"f{n}", f"function f{n}(m) {{ return m; }}") for n in range(6)],
        [Transform("f", "function f(m) { return m; }" + " " * 20_000)],
    ],
)
def test_what_can_not_run_is_refused_at_once(transforms: list[Transform]) -> None:
    """When the resource is created, not when the first message comes."""
    with pytest.raises(InvalidArgument, match=r"javascript_udf|message_transforms"):
        Udfs(transforms)
