"""The form of a function, told by its signature."""

from __future__ import annotations

import functools
import textwrap
from typing import Any

import pytest

from transforms.udf.signature import Signature, SignatureError, signature_of
from transforms.udf.source import Form

ROW, BATCH, TEXT = Signature(Form.ROW), Signature(Form.BATCH), Signature(Form.TEXT)


def defined(text: str) -> Any:
    """Return what is called f in a source text."""
    names: dict[str, Any] = {}
    exec(compile(textwrap.dedent(text), "f.py", "exec", dont_inherit=True), names)
    return names["f"]


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        ("", ROW),
        (": dict", ROW),
        (": dict[str, object]", ROW),
        (": 'dict[str, Any]'", ROW),
        (": typing.Any", ROW),
        (": typing.Dict[str, int]", ROW),
        (": typing.Mapping[str, int]", ROW),
        (": collections.abc.MutableMapping", ROW),
        (": collections.OrderedDict", ROW),
        (": Flight", ROW),
        (": pa.RecordBatch", BATCH),
        (": 'pa.RecordBatch'", BATCH),
        (": 'pyarrow.RecordBatch'", BATCH),
        (": 'checkers.only.RecordBatch'", BATCH),
        (": str", TEXT),
        (": 'str'", TEXT),
        (": bytes", Signature(Form.TEXT, takes_bytes=True)),
    ],
)
def test_annotation_tells_the_form(annotation: str, expected: Signature) -> None:
    """As an object, as text, and as text that only type checkers can evaluate."""
    text = f"""
        import collections, collections.abc, typing, pyarrow as pa
        class Flight(typing.TypedDict):
            carrier: str
        def f(row{annotation}): ...
    """
    assert signature_of(defined(text)) == expected


def test_annotations_may_be_postponed() -> None:
    """``from __future__ import annotations`` makes all of them text."""
    text = "from __future__ import annotations\nimport pyarrow as pa\ndef f(x: pa.RecordBatch): ..."
    assert signature_of(defined(text)) == BATCH
    assert signature_of(defined(text.replace("pa.RecordBatch", "'pa.RecordBatch'"))) == BATCH


@pytest.mark.parametrize(
    ("parameters", "takes_message"),
    [
        ("row", False),
        ("row, message", True),
        ("row, /, message", True),
        ("row, factor=2", False),
        ("row, message, factor=2", True),
        ("row, *more, factor=2, **others", False),
        ("*rows", False),
    ],
)
def test_second_parameter_without_default_gets_the_message(
    parameters: str, takes_message: bool
) -> None:
    """A default is kept: nothing but the row is put in its place."""
    found = signature_of(defined(f"def f({parameters}): ..."))
    assert found == Signature(Form.ROW, takes_message=takes_message)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("def f(): ...", "must have a parameter"),
        ("def f(*, row): ...", "must have a parameter"),
        ("def f(row, message, more): ...", "too many parameters without a default: message, more"),
        ("def f(row, *, factor): ...", "too many parameters without a default: factor"),
        ("def f(rows: 'RecordBatch', message): ...", "too many parameters without a default"),
        ("def f(row: int): ...", "annotated with <class 'int'>"),
        ("def f(row: 'Table'): ...", "annotated with 'Table'"),
        ("def f(row: [1]): ...", r"annotated with \[1\]"),
        ("async def f(row): ...", "async"),
        ("async def f(row): yield row", "async"),
        ("class f:\n  async def __call__(self, row): ...\nf = f()", "async"),
        ("class f:\n  def __init__(self, row): ...", "is a class"),
        ("f = 7", "is no function but a int"),
    ],
)
def test_other_functions_are_refused(text: str, rule: str) -> None:
    """The rule and the fix are said."""
    with pytest.raises(SignatureError, match=rule) as raised:
        signature_of(defined(text))
    assert raised.value.fix


def test_whatever_can_be_called_with_a_row_is_a_function() -> None:
    """Partial functions, methods, objects, decorated ones and those of C."""

    def scaled(row: dict[str, int], *, factor: int) -> int:
        return row["n"] * factor

    @functools.wraps(scaled)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        return scaled(*args, **kwargs)

    assert signature_of(functools.partial(scaled, factor=2)) == ROW
    assert signature_of(len) == ROW
    with pytest.raises(SignatureError, match="factor"):
        signature_of(wrapped)
