"""The language of conditions."""

import contextlib
import datetime as dt
import decimal
import pickle
import sqlite3
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import message_batch
from transforms.batch import Batch
from transforms.condition import Condition
from transforms.errors import ConfigError
from transforms.field import Field
from transforms.message import MESSAGE_SCHEMA, attach_message

SCHEMA = pa.schema(
    [
        ("n", pa.int32()),
        ("x", pa.float64()),
        ("s", pa.string()),
        ("b", pa.bool_()),
        ("t", pa.timestamp("us")),
        ("d", pa.decimal128(9, 2)),
        ("y", pa.binary()),
    ]
)
JANUARY = [dt.datetime(2026, 1, day) for day in (1, 2, 3)]
VALUES: list[tuple[Any, ...]] = [
    (1, 0.5, "ab", True, JANUARY[0], decimal.Decimal("1.50"), b"\xff1"),
    (2, 1.0, "b\"'", False, JANUARY[1], decimal.Decimal("2.25"), b"ab"),
    (None,) * 7,
    (-3, float("nan"), "", True, JANUARY[2], decimal.Decimal(0), b""),
]
ROWS = Batch.from_pylist([dict(zip(SCHEMA.names, row, strict=True)) for row in VALUES], SCHEMA)

MEANT = {
    "n = 1": [0],
    "n != 1": [1, 3],
    "n < 2": [0, 3],
    "n <= 2": [0, 1, 3],
    "n > -3": [0, 1],
    "n >= -3": [0, 1, 3],
    "n > 1.5": [1],
    "x = 1": [1],
    "x < 1e0": [0],
    "d >= 1.5": [0, 1],
    "d = 0": [3],
    's = "ab"': [0],
    "s = 'ab'": [0],
    r"""s = "b\"'" """: [1],
    r"""s = 'b"\''""": [1],
    's = ""': [3],
    's > "a"': [0, 1],
    "b = TRUE": [0, 3],
    "b = false": [1],
    "b != true": [1],
    't >= "2026-01-02"': [1, 3],
    't = "2026-01-01T00:00:00"': [0],
    "n IS NULL": [2],
    "n is not null": [0, 1, 3],
    "n IN (1, -3, 7)": [0, 3],
    "n NOT IN (1, 7)": [1, 3],
    's in ("ab")': [0],
    'starts_with(s, "a")': [0],
    'ends_with(s, "b")': [0],
    'CONTAINS(s, "b")': [0, 1],
    'matches(s, "^.b$")': [0],
    'y = "ab"': [1],
    'contains(y, "1")': [0],
    "NOT n = 1": [1, 3],
    "NOT NOT n = 1": [0],
    "n = 1 OR n = 2 AND b = TRUE": [0],
    "(n = 1 OR n = 2) AND b = FALSE": [1],
    "n = 1 AND b = TRUE AND s = 'ab'": [0],
    "n = 1 OR n IS NULL OR n = -3": [0, 2, 3],
    "NOT (n IS NULL OR n = 1)": [1, 3],
    "n=1 OR`n`=2": [0, 1],
    "column:n\n=\t1": [0],
}


@pytest.mark.parametrize("text", MEANT)
def test_rows_that_are_meant(text: str) -> None:
    """Each form of the language, with null as in SQL."""
    mask = Condition(text).mask(ROWS)
    assert [row for row, meant in enumerate(mask.to_pylist()) if meant] == MEANT[text]
    assert mask.null_count == 0
    assert len(Condition(text).mask(ROWS.slice(0, 0))) == 0
    Condition(text).check(ROWS.schema)


def test_messages_without_and_with_columns() -> None:
    """Attributes and parts of the message can be tested, of parsed rows too."""
    messages = message_batch([b"a", b"b", b"c"])
    typed = attach_message(pa.RecordBatch.from_pydict({"n": [1, 2, 3]}), messages)
    for batch in (messages, typed):
        for text, meant in {
            'attribute:key = "k2"': [False, True, False],
            'message:publish_time > "2026-01-01T00:00:01Z"': [False, True, True],
            "attribute:none IS NULL": [True] * 3,
            'attribute:none != "x"': [False] * 3,
            "attribute:`two words` IS NOT NULL": [False] * 3,
            'message:data = "c"': [False, False, True],
        }.items():
            assert Condition(text).mask(batch).to_pylist() == meant, text


def test_fields_are_told_in_their_order() -> None:
    """Whoever checks a command line needs to know what a condition will look at."""
    text = 'attribute:a = "x" AND (n > 1 OR NOT attribute:a IS NULL OR message:data = "y")'
    names = ["attribute:a", "n", "message:data"]
    assert Condition(text).fields == tuple(map(Field.parse, names))


def test_condition_can_be_pickled() -> None:
    """It goes to workers as its text, also after it was used."""
    condition = Condition("n = 1")
    condition.mask(ROWS)
    again = pickle.loads(pickle.dumps(condition))
    assert again == condition
    assert again.mask(ROWS) == condition.mask(ROWS)


BAD_TEXTS = {
    "": ("its end", "a field"),
    "n": ("its end", "IN"),
    "n =": ("its end", "a text in quotes"),
    "n = 1 n": ("'n' at letter 7", "AND, OR or the end"),
    "n = 1 AND": ("its end", "a field"),
    "(n = 1": ("its end", ")"),
    "n = 1)": ("')' at letter 6", "the end"),
    "n = 'a": ('"\'" at letter 5', "a field, a value or an operator"),
    "n == 1": ("'=' at letter 4", "a text in quotes"),
    "n = m": ("'m' at letter 5", "a text in quotes"),
    "1 = n": ("'1' at letter 1", "a field"),
    "n = 1x": ("'1' at letter 5", "a field, a value"),
    "n IN ()": ("')' at letter 7", "a text in quotes"),
    "n IN (1": ("its end", ")"),
    "n IS 1": ("'1' at letter 6", "NULL"),
    "starts_with(n, 1)": ("'1' at letter 16", "a text in quotes"),
    "matches(s, '(')": ("at letter 12", "a regular expression"),
    "n = 1; DROP": ("';' at letter 6", "a field, a value"),
    "AND = 1": ("'AND' at letter 1", "a field"),
    "n & 1": ("'&' at letter 3", "an operator"),
}


@pytest.mark.parametrize("text", BAD_TEXTS)
def test_what_is_no_condition_is_refused_with_its_place(text: str) -> None:
    """The error tells what stands where, and what should."""
    with pytest.raises(ConfigError) as caught:
        Condition(text)
    assert all(words in str(caught.value) for words in BAD_TEXTS[text]), str(caught.value)


UNTESTABLE = [
    "gone = 1", 'n = "1"', "s = 1", "s = TRUE", "b = 1", 'b = "true"', 't > "noon"', "t = 5",
    'contains(n, "1")', "n IN (1, 'a')", "n = 99999999999", "message:data IS NULL",
]  # fmt: skip


@pytest.mark.parametrize("text", UNTESTABLE)
def test_what_can_not_be_tested_is_an_error_of_the_configuration(text: str) -> None:
    """A comparison between sorts of values is never silently false, with rows or without."""
    for check in (Condition(text).mask, lambda rows: Condition(text).check(rows.schema)):
        with pytest.raises(ConfigError, match="condition"):
            check(ROWS)


NUMBERS = st.none() | st.integers(-3, 3)
SIGNS = ("=", "!=", "<", ">=")
LEAVES = st.sampled_from(
    [f"{name} {sign} {value}" for name in "pq" for sign in SIGNS for value in (-1, 0, 2)]
    + ["p IS NULL", "q IS NOT NULL", "p IN (0, 1, 2)", "q NOT IN (-1, 3)"]
)  # fmt: skip
CONDITIONS = st.recursive(
    LEAVES,
    lambda inner: (
        st.builds("({} AND {})".format, inner, inner)
        | st.builds("{} OR {}".format, inner, inner)
        | st.builds("NOT ({})".format, inner)
    ),
    max_leaves=8,
)


@given(CONDITIONS, st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=12))
def test_logic_is_that_of_sql(text: str, rows: list[tuple[Any, Any]]) -> None:
    """The same rows are meant as by a database, with precedence and nulls."""
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE t (id INTEGER, p INTEGER, q INTEGER)")
    database.executemany(
        "INSERT INTO t VALUES (?, ?, ?)", [(i, *row) for i, row in enumerate(rows)]
    )
    wanted = [row for (row,) in database.execute(f"SELECT id FROM t WHERE {text} ORDER BY id")]
    schema = pa.schema([("p", pa.int64()), ("q", pa.int64())])
    batch = Batch.from_pylist([{"p": p, "q": q} for p, q in rows], schema)
    mask = Condition(text).mask(batch).to_pylist()
    assert [row for row, meant in enumerate(mask) if meant] == wanted


@given(st.text(max_size=40))
def test_any_text_is_a_condition_or_refused(text: str) -> None:
    """No input makes anything but a clear error."""
    with contextlib.suppress(ConfigError):
        Condition(text)


def test_message_schema_is_enough_for_a_check() -> None:
    """Without a schema of the payload, attributes and message parts can be checked."""
    Condition('attribute:a = "b" AND message:message_id != ""').check(MESSAGE_SCHEMA)
    with pytest.raises(ConfigError, match="column:n"):
        Condition("n = 1").check(MESSAGE_SCHEMA)
