"""Functions of all rows of a batch: what they may return, and how failing rows are found."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Set
from typing import Any

import pyarrow as pa
import pytest

from tests.udfs import NUMBERS, applied, column, errors, function, messages, numbers
from transforms import kinds
from transforms.batch import Batch
from transforms.message import MESSAGE, MESSAGE_SCHEMA, PART, message_column
from transforms.udf import Plan
from transforms.udf.batches import OVERRUNS_MAX

HEAD = "import pyarrow as pa, pyarrow.compute as pc\n"
TYPED = Plan(typed=True)


def f(body: str) -> str:
    """Return the source of a function of a batch."""
    return f"{HEAD}def f(b: pa.RecordBatch):\n  {body}"


def ids(batches: Any) -> list[str]:
    """Return the ids of the messages of rows."""
    return [each for batch in batches for each in message_column(batch, "message_id").to_pylist()]


@pytest.mark.parametrize(
    ("body", "numbers_out", "ids_out"),
    [
        ("return b", [3, 1, 2], ["0", "1", "2"]),
        ("return b.filter(pc.greater(b['n'], 1))", [3, 2], ["0", "2"]),
        ("return b.take([1, 0])", [1, 3], ["1", "0"]),
        ("return b.take([2, 2, 0, 0])", [2, 2, 3, 3], ["2", "2", "0", "0"]),
        ("return pa.Table.from_batches([b.slice(1), b.slice(0, 1)])", [1, 2, 3], ["1", "2", "0"]),
        ("return pa.Table.from_batches([], schema=b.schema)", [], []),
        ("return b.set_column(0, 'n', pc.add(b['n'], 1))", [4, 2, 3], ["0", "1", "2"]),
        ("return pa.record_batch([pc.add(b['n'], 1)], ['n'])", [4, 2, 3], ["0", "1", "2"]),
        ("return pa.record_batch([b['n'].cast('int8')], ['n'])", [3, 1, 2], ["0", "1", "2"]),
        ("return {'': b.slice(1)}", [1, 2], ["1", "2"]),
        ("return {'': None}", [], []),
        ("return None", [], []),
    ],
)
def test_rows_keep_their_messages(body: str, numbers_out: list[int], ids_out: list[str]) -> None:
    """By the reserved column, or by position if there are as many rows as before."""
    for plan in (TYPED, Plan(typed=True, part=True)):
        result = applied(f(body), numbers(3, 1, 2), plan)
        assert result.dead is None
        assert column(result.ok, "n") == numbers_out
        assert ids(result.ok) == ids_out
        for ok in result.ok:
            assert ok.schema.names == ["n", "s", MESSAGE, *([PART] if plan.part else [])]
            assert ok.schema.field(MESSAGE).type == numbers(1).schema.field(MESSAGE).type
        assert result.made - result.dropped == len(numbers_out) - 3


def test_parts_are_told_apart_in_any_order() -> None:
    """By the row and not by the id: a message that came twice has two first parts."""
    batch = Batch.concat([numbers(5), numbers(5)])
    result = applied(f("return b.take([1, 0, 1, 0, 1])"), batch, Plan(typed=True, part=True))
    assert column(result.ok, PART) == [0, 0, 1, 1, 2]


def test_unchanged_batch_is_given_and_passed_on_without_a_copy() -> None:
    """The plain case costs nothing."""
    batch = numbers(1, 2)
    (ok,) = applied(f("return b"), batch).ok
    assert ok == batch
    before, after = (each.column("n").buffers()[1] for each in (batch, ok))
    assert before.address == after.address


def test_failing_rows_are_found_by_halving() -> None:
    """The rest goes on, in order, each once."""
    text = f("\n  if 7 in b['n'].to_pylist(): raise ValueError('seven')\n  return b")
    result = applied(text, numbers(*range(100)))
    assert column(result.ok, "n") == [n for n in range(100) if n != 7]
    assert errors(result) == {"7": (kinds.UDF_ERROR, "ValueError: seven (file.py:4)")}


def test_rows_that_do_not_fit_are_found_by_halving() -> None:
    """A null where none may be, and a number that a column can't hold."""
    result = applied(
        f("return b.set_column(0, 'n', pc.if_else(pc.equal(b['n'], 3), None, b['n']))"),
        numbers(*range(8)),
    )
    assert list(errors(result)) == ["3"]
    assert errors(result)["3"] == (kinds.UDF_RESULT, "A value is missing - at `$.n`")
    assert len(column(result.ok, "n")) == 7
    small = Plan(typed=True, schema=pa.schema([("n", pa.int8())]))
    result = applied(f("return b.select(['n', '_message'])"), numbers(1, 1_000, 2), small)
    assert (column(result.ok, "n"), list(errors(result))) == ([1, 2], ["1"])
    assert "at `$.n`" in errors(result)["1"][1]


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("return 7", "The function returned int"),
        ("return [b]", "The function returned list"),
        ("return pa.record_batch([[1]], ['n'])", "returned 1 rows for 4 and no column _message"),
        ("return {'late': b}", "There is no output 'late'; declared are: odd"),
        ("return {1: b}", "There is no output 1"),
        ("return {None: b}", "There is no output None"),
        ("return {'odd': b.select([0, 0, 2])}", "The column n is there more than once"),
        ("return b.append_column('x', b['n'])", "The schema has no column for: x"),
        ("return b.append_column('s', b['s'])", "The column s is there more than once"),
        ("return b.drop_columns(['n'])", "The column n is missing, and may not be null"),
        ("return b.set_column(0, 'n', pa.array([[1]] * 4))", "at `$.n`"),
        ("return b.set_column(2, '_message', b['n'])", "_message was changed"),
    ],
)
def test_what_is_no_result_is_not_tried_again(body: str, text: str) -> None:
    """It would be none for half of the rows either: one call, and all are dead."""
    calls = f(f"calls.append(1); {body}").replace("def f", "calls = []\ndef f")
    made = function(calls, Plan(typed=True, outputs=("odd",)))
    result = made.apply(numbers(1, 2, 3, 4))
    assert result.ok == []
    assert {kind for kind, _ in errors(result).values()} == {kinds.UDF_RESULT}
    assert len(errors(result)) == 4
    assert text in errors(result)["0"][1]
    assert made._compiled.module.calls == [1]  # type: ignore[attr-defined]


def test_rows_are_routed_as_messages() -> None:
    """The payload is the row as JSON, without what is reserved."""
    text = f("""
  odd = pc.equal(pc.bit_wise_and(b['n'], 1), 1)
  return {'odd': b.filter(odd), '': b.filter(pc.invert(odd)), 'empty': b.slice(0, 0)}
""")
    result = applied(text, numbers(1, 2, 3), Plan(typed=True, outputs=("odd", "empty")))
    assert column(result.ok, "n") == [2]
    (odd,) = result.outputs["odd"]
    assert odd.schema == MESSAGE_SCHEMA
    assert odd.column("data").to_pylist() == [b'{"n":1,"s":"1"}', b'{"n":3,"s":"3"}']
    assert odd.column("message_id").to_pylist() == ["0", "2"]
    assert set(result.outputs) == {"odd"}


def test_messages_are_rows_where_there_is_no_schema() -> None:
    """Data and attributes may be changed, text becomes bytes; the rest stays."""
    text = f("return b.set_column(0, 'data', b['data'].cast('string')).slice(1)")
    (ok,) = applied(text, messages(b"0", b"1")).ok
    assert ok == messages(b"0", b"1").slice(1)
    result = applied(f("return b.append_column('x', b['data'])"), messages(b"0"))
    assert "A message has no x" in errors(result)["0"][1]
    text = f("return pa.record_batch([pa.array(['x'] * len(b))], ['data'])")
    result = applied(text, messages(b"0"), Plan(keep_message=True, part=True))
    assert (column(result.ok, "data"), column(result.ok, PART)) == ([b"x"], [0])
    assert [came["data"] for came in column(result.ok, MESSAGE)] == [b"0"]
    routed = applied(f("return {'odd': b}"), messages(b"0"), Plan(outputs=("odd",)))
    assert routed.outputs["odd"] == [messages(b"0")]


def test_messages_can_become_typed_rows() -> None:
    """Filtered, they keep their messages."""
    text = f("""
  n = b['data'].cast('string').cast('int64')
  return pa.record_batch([n, b['_message']], ['n', '_message']).filter(pc.greater(n, 1))
""")
    (ok,) = applied(text, messages(b"1", b"2"), Plan(schema=NUMBERS)).ok
    assert column([ok], "n") == [2]
    assert ids([ok]) == ["1"]


class Late:
    """A watch that accuses every call which has the row 7 in it."""

    limit_s = 1.0

    def __init__(self) -> None:
        self.slow = False

    def begin(self, remaining: Iterator[Any]) -> None:
        self.slow = False

    def accused(self) -> Set[int]:
        return {0} if self.slow else set()

    end = accused


def test_slow_rows_are_found_by_halving_within_bounds() -> None:
    """One costs some calls over the limit; where all are slow, the batch is given up."""
    watch = Late()
    made = function(f("return look(b)"), TYPED, watch)

    def look(rows: pa.RecordBatch) -> pa.RecordBatch:
        watch.slow = slow(rows["n"].to_pylist())
        return rows

    made._compiled.module.look = look  # type: ignore[attr-defined]
    calls: list[int] = []
    slow: Callable[[list[int]], bool] = lambda values: 7 in values  # noqa: E731
    result = made.apply(numbers(*range(4_096)))
    assert errors(result) == {"7": (kinds.UDF_TIMEOUT, "It took longer than 1 s")}
    assert sum(map(len, result.ok)) == 4_095

    slow = lambda values: calls.append(len(values)) is None  # noqa: E731
    result = made.apply(numbers(*range(4_096)))
    assert result.ok == []
    assert len(errors(result)) == 4_096
    assert len(calls) == OVERRUNS_MAX
    assert {kind for kind, _ in errors(result).values()} == {kinds.UDF_TIMEOUT}


def test_rows_without_messages_are_taken_too() -> None:
    """They have none before and after."""
    batch = numbers(1, 2).drop([MESSAGE])
    result = applied(f("return b.slice(1)"), batch, Plan(typed=True))
    assert result.ok == [batch.slice(1)]


@pytest.mark.parametrize("part", [False, True])
def test_row_that_is_of_no_message_is_found(part: bool) -> None:
    """Such a row could neither be told apart nor replayed."""
    text = f(
        "at = b.schema.get_field_index('_message'); "
        "none = pa.nulls(len(b), b.schema.field(at).type); "
        "return b.set_column(at, '_message', none) if 1 in b['n'].to_pylist() else b"
    )
    result = applied(text, numbers(3, 1, 2), Plan(typed=True, part=part))
    assert column(result.ok, "n") == [3, 2]
    assert "_message is null" in errors(result)["1"][1]
