"""Choosing columns: kept, dropped, added; and the contradictions that are refused."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from transforms.batch import Batch
from transforms.errors import ConfigError
from transforms.field import attribute, column, message
from transforms.message import ATTRIBUTES, MESSAGE, MESSAGE_SCHEMA, attach_message
from transforms.project import Project, project

TYPED = pa.schema(
    [pa.field("a", pa.int64(), nullable=False, metadata={"k": "v"}), ("b", pa.string())]
)


def batch() -> Batch:
    """Return two typed rows with their messages."""
    messages = Batch.from_pylist(
        [{"message_id": "0", "attributes": [("source", "x")]}, {"message_id": "1"}], MESSAGE_SCHEMA
    )
    typed = pa.RecordBatch.from_pylist([{"a": 1, "b": "p"}, {"a": 2, "b": "q"}], schema=TYPED)
    return attach_message(typed, messages)


def test_keep_chooses_and_orders() -> None:
    """Only the named columns are left, in the order of their names, with their metadata."""
    assert project(batch(), keep=["b", "a"]).schema.names == ["b", "a"]
    assert project(batch(), keep=["a"]).schema.field("a").equals(TYPED.field("a"), True)


def test_drop_removes() -> None:
    """All columns but the named ones are left."""
    assert project(batch(), drop=[MESSAGE]).schema.equals(TYPED, check_metadata=True)


def test_add_takes_fields_of_the_batch_as_it_came() -> None:
    """Parts and attributes of the message become columns, though the message is dropped."""
    add = {
        "id": message("message_id"),
        "source": attribute("source"),
        "all": message(ATTRIBUTES),
        "copy": column("a"),
    }
    made = project(batch(), drop=[MESSAGE, "b"], add=add)
    assert made.to_pylist() == [
        {"a": 1, "id": "0", "source": "x", "all": [("source", "x")], "copy": 1},
        {"a": 2, "id": "1", "source": None, "all": None, "copy": 2},
    ]


def test_column_may_be_replaced() -> None:
    """A dropped name is free for a new column."""
    assert project(batch(), keep=["b"], add={"a": message("message_id")}).to_pylist() == [
        {"b": "p", "a": "0"},
        {"b": "q", "a": "1"},
    ]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"keep": ["c"]}, "keep='c': is no column. The batch has a, b, _message"),
        ({"drop": ["c"]}, "drop='c': is no column"),
        ({"add": {"b": column("a")}}, "add='b': is a column already"),
        ({"add": {"c": column("d")}}, "add='column:d': can't be found"),
    ],
)
def test_names_must_suit_the_batch(arguments: dict[str, Any], text: str) -> None:
    """A wrong name is told with the columns that there are."""
    with pytest.raises(ConfigError) as caught:
        project(batch(), **arguments)
    assert str(caught.value).startswith(text)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"keep": ["a"], "drop": ["b"]}, "drop="),
        ({"keep": ["a", "a"]}, "keep="),
        ({"keep": "ab"}, "keep="),
        ({"drop": "a"}, "drop="),
        ({"keep": ["a"], "add": {"a": column("b")}}, "add="),
    ],
)
def test_names_that_contradict_each_other_are_refused(arguments: dict[str, Any], text: str) -> None:
    """The pipeline isn't started."""
    with pytest.raises(ConfigError, match=f"^{text}"):
        Project(**arguments)


def test_message_dropped_before_is_told() -> None:
    """An attribute can't be added once the message is gone."""
    bare = project(batch(), drop=[MESSAGE])
    with pytest.raises(ConfigError, match="can't be found"):
        project(bare, add={"source": attribute("source")})
