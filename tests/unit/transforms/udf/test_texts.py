"""Functions of a payload, before it is parsed."""

from __future__ import annotations

import pytest

from tests.udfs import applied, column, errors, messages
from transforms import kinds
from transforms.message import MESSAGE, MESSAGE_SCHEMA, PART
from transforms.udf import Plan


def test_payload_is_changed_and_all_else_stays() -> None:
    """The new payload may be text or bytes."""
    text = "def f(text: str): return text.upper() if text != 'b' else b'\\xff'"
    (ok,) = applied(text, messages(b"\xc3\xa4", b"b", None)).ok
    assert ok.schema == MESSAGE_SCHEMA
    assert ok.column("data").to_pylist() == ["Ä".encode(), b"\xff", b""]
    assert ok.drop(["data"]) == messages(b"\xc3\xa4", b"b", None).drop(["data"])


def test_bytes_are_given_as_they_are() -> None:
    """Nothing needs to be UTF-8 then."""
    text = "def f(data: bytes): return data[::-1]"
    assert column(applied(text, messages(b"\xff\x00", None)).ok, "data") == [b"\x00\xff", b""]


def test_payload_that_is_no_text_is_dead() -> None:
    """The function of the others is called, with their own messages."""
    text = "def f(text: str, message): return text + message['message_id']"
    result = applied(text, messages(b"a", b"\xff", b"c"))
    assert column(result.ok, "data") == [b"a0", b"c2"]
    assert errors(result) == {"1": (kinds.INVALID_UTF8, "The payload is not valid UTF-8")}


def test_function_drops_fans_out_and_routes() -> None:
    """As in row form."""
    text = """
        def f(text: str):
            if text == "drop": return None
            if text == "two": return ["1", ("odd", "x"), "2"]
            if text == "odd": return ("odd", b"y")
            if text == "raise": raise KeyError("k")
            return ""
    """
    plan = Plan(outputs=("odd",), keep_message=True, part=True)
    result = applied(text, messages(b"drop", b"two", b"odd", b"raise", b"empty"), plan)
    assert column(result.ok, "data") == [b"1", b"2", b""]
    assert column(result.ok, PART) == [0, 1, 0]
    assert [came["data"] for came in column(result.ok, MESSAGE)] == [b"two", b"two", b"empty"]
    assert column(result.outputs["odd"], "data") == [b"x", b"y"]
    assert errors(result) == {"3": (kinds.UDF_ERROR, "KeyError: 'k' (file.py:6)")}
    assert (result.dropped, result.made) == (1, 2)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("7", "The function returned int, and not str or bytes, None, or a list of these"),
        ("{'a': 1}", "The function returned dict"),
        ("['x', None]", "The function returned NoneType"),
        ("'\\ud800'", "no payload"),
        ("('late', 'x')", "There is no output 'late'; declared are: none"),
    ],
)
def test_wrong_results_are_dead(value: str, text: str) -> None:
    """With what is wrong."""
    result = applied(
        f"def f(text: str): return {value} if text == 'b' else text", messages(b"a", b"b")
    )
    assert column(result.ok, "data") == [b"a"]
    assert errors(result)["1"][0] == kinds.UDF_RESULT
    assert text in errors(result)["1"][1]
