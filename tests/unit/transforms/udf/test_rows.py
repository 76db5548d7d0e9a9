"""Functions of a row: what they are given, and what is made of what they give."""

from __future__ import annotations

import datetime as dt

import pyarrow as pa
import pytest

from tests.udfs import NUMBERS, applied, column, errors, messages, numbers
from transforms import kinds
from transforms.batch import Batch
from transforms.message import MESSAGE, MESSAGE_SCHEMA, PART, message_column
from transforms.udf import Plan

TYPED = Plan(typed=True)


def test_row_is_changed_and_keeps_its_message() -> None:
    """A function may change the dictionary that it is given."""
    text = """
        def f(row):
            row["n"] += 1
            return row
    """
    result = applied(text, numbers(1, 2))
    (ok,) = result.ok
    assert ok.drop([MESSAGE]).rows == pa.RecordBatch.from_pylist(
        [{"n": 2, "s": "1"}, {"n": 3, "s": "2"}], schema=NUMBERS
    )
    assert message_column(ok, "message_id").to_pylist() == ["0", "1"]
    assert (result.dead, result.dropped, result.made) == (None, 0, 0)


def test_none_and_an_empty_list_drop() -> None:
    """So does a generator that gives nothing."""
    text = """
        def f(row):
            return [row, None, [], iter(()), ()][row["n"]]
    """
    result = applied(text, numbers(0, 1, 2, 3, 4))
    assert column(result.ok, "n") == [0]
    assert result.dropped == 4


def test_lists_and_generators_fan_out() -> None:
    """Rows of one message carry it each, and are told apart if asked."""
    text = """
        def f(row):
            for n in range(row["n"]):
                yield {"n": n, "s": "x"}
    """
    plan = Plan(typed=True, part=True)
    result = applied(text, numbers(2, 0, 1, 3), plan)
    assert column(result.ok, "n") == [0, 1, 0, 0, 1, 2]
    assert column(result.ok, PART) == [0, 1, 0, 0, 1, 2]
    assert message_column(result.ok[0], "message_id").to_pylist() == ["0", "0", "2", "3", "3", "3"]
    assert result.ok[0].schema.names == ["n", "s", MESSAGE, PART]
    assert (result.dropped, result.made) == (1, 3)


def test_rows_are_routed_to_outputs_as_messages() -> None:
    """The payload is the row as JSON; all else is of its message."""
    text = """
        import datetime, decimal
        def f(row):
            at = datetime.datetime(2026, 1, 2, tzinfo=datetime.timezone.utc)
            other = {"at": at, "raw": b"ab", "price": decimal.Decimal("1.50"), "n": row["n"]}
            several = [row, ("odd", other), ("odd", {}), ("even", {})]
            return several if row["n"] % 2 else ("even", row)
    """
    result = applied(text, numbers(1, 2), Plan(typed=True, outputs=("odd", "even", "never")))
    assert column(result.ok, "n") == [1]
    assert set(result.outputs) == {"odd", "even"}
    (odd,) = result.outputs["odd"]
    assert odd.schema == MESSAGE_SCHEMA
    assert odd.column("data").to_pylist() == [
        b'{"at":"2026-01-02T00:00:00Z","raw":"YWI=","price":"1.50","n":1}', b"{}",
    ]  # fmt: skip
    assert odd.column("message_id").to_pylist() == ["0", "0"]
    assert odd.column("attributes").to_pylist() == [[("at", "0")]] * 2
    assert column(result.outputs["even"], "data") == [b"{}", b'{"n":2,"s":"2"}']
    assert (result.dropped, result.made) == (0, 3)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("7", "The function returned int, and not dict, None, or a list of these"),
        ("'abc'", "The function returned str"),
        ("[row, 7]", "The function returned int"),
        ("[row, None]", "The function returned NoneType"),
        ("(row, row, 7)", "The function returned int"),
        ("('late', row)", "There is no output 'late'; declared are: odd"),
        ("('odd', 7)", "The function returned int"),
        ("('odd', {'a': {1, 'x', f}})", "no payload: a function can't be written as JSON"),
        ("{**row, 'm': 1, 'l': 2}", "The schema has no column for: l, m"),
        ("{**row, 'n': 'x'}", "Expected a value for int64, got `str` - at `$.n`"),
        ("{**row, 'n': 2**70}", "at `$.n`"),
        ("{**row, 'n': None}", "A value is missing - at `$.n`"),
        ("{'s': 'x'}", "A value is missing - at `$.n`"),
        ("[row, {'s': 'x'}]", "A value is missing - at `$.n`"),
        ("[('odd', row), {'s': 'x'}]", "A value is missing - at `$.n`"),
        ("[row, ('odd', {1: f})]", "no payload"),
    ],
)
def test_wrong_results_are_dead_as_a_whole(value: str, text: str) -> None:
    """Nothing of such a row goes on; its neighbours do."""
    source = f"def f(row):\n  return {value} if row['n'] == 1 else row"
    result = applied(source, numbers(0, 1, 2), Plan(typed=True, outputs=("odd",)))
    assert column(result.ok, "n") == [0, 2]
    assert list(errors(result)) == ["1"]
    kind, found = errors(result)["1"]
    assert kind == kinds.UDF_RESULT
    assert text in found
    assert result.outputs == {}


def test_missing_nullable_columns_are_null() -> None:
    """Only what is required must be there."""
    assert column(applied("def f(row): return {'n': 1}", numbers(5)).ok, "s") == [None]


def test_exception_names_file_and_line() -> None:
    """The dead letter has the message as it came, whatever was done to the row."""
    text = """
        def f(row):
            row["n"] = "changed"
            raise ValueError("no good")
    """
    result = applied(text, numbers(7))
    assert errors(result) == {"0": (kinds.UDF_ERROR, "ValueError: no good (file.py:4)")}
    assert result.dead is not None
    assert result.dead.column("data").to_pylist() == [b"7"]
    assert result.dead.column("step").to_pylist() == ["UserFunction"]


def test_generator_that_fails_midway_gives_nothing() -> None:
    """All of a row or nothing of it."""
    text = """
        def f(row):
            yield row
            yield ("odd", row)
            1 / row["n"]
    """
    result = applied(text, numbers(1, 0), Plan(typed=True, outputs=("odd",)))
    assert column(result.ok, "n") == [1]
    assert column(result.outputs["odd"], "message_id") == ["0"]
    assert list(errors(result)) == ["1"]


def test_second_parameter_gets_the_message() -> None:
    """Attributes are a dictionary."""
    text = """
        def f(row, message):
            assert set(message) == {"data", "attributes", "message_id", "publish_time",
                                    "ordering_key", "delivery_attempt"}
            row["s"] = message["message_id"] + message["attributes"]["at"]
            return row
    """
    assert column(applied(text, numbers(5, 6)).ok, "s") == ["00", "11"]


def test_other_schema_may_come_out() -> None:
    """The message stays beside it."""
    schema = pa.schema([("double", pa.int64()), ("at", pa.timestamp("us", "UTC"))])
    text = """
        import datetime
        def f(row):
            at = datetime.datetime(2026, 1, 2, tzinfo=datetime.timezone.utc)
            return {"double": row["n"] * 2, "at": at}
    """
    (ok,) = applied(text, numbers(4), Plan(typed=True, schema=schema)).ok
    assert ok.drop([MESSAGE]).to_pylist() == [
        {"double": 8, "at": dt.datetime(2026, 1, 2, tzinfo=dt.timezone.utc)}
    ]


def test_messages_are_rows_where_there_is_no_schema() -> None:
    """Data and attributes may be changed; what is not returned stays."""
    text = """
        def f(row):
            case = row["data"]
            if case == b"same": return row
            if case == b"text": return {"data": "ä"}
            if case == b"drop": return None
            if case == b"attributes": return {"attributes": {"b": "c"}}
            if case == b"bytes": return [dict(row, data=b"1"), ("odd", dict(row, data=b"2"))]
    """
    batch = messages(b"same", b"text", b"drop", b"attributes", b"bytes")
    result = applied(text, batch, Plan(outputs=("odd",)))
    (ok,) = result.ok
    assert ok.schema == MESSAGE_SCHEMA
    assert ok.column("data").to_pylist() == [b"same", "ä".encode(), b"attributes", b"1"]
    assert ok.column("message_id").to_pylist() == ["0", "1", "3", "4"]
    assert ok.column("attributes").to_pylist() == [
        [("at", "0")], [("at", "1")], [("b", "c")], [("at", "4")],
    ]  # fmt: skip
    assert column(result.outputs["odd"], "data") == [b"2"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("{'data': 7}", "data must be str or bytes, not int"),
        ("{'data': '\\ud800'}", "data is no text"),
        ("{'attributes': [1]}", "attributes must be a dict, not list"),
        ("{'attributes': {'a': 1}}", "attributes must be a dict of str to str"),
        ("{'attributes': {'a': '\\ud800'}}", "attributes are no text"),
        ("{**row, 'attributes': {'\\udfff': 'a'}}", "attributes are no text"),
        ("{**row, 'message_id': __import__('numpy').arange(2)}", "message_id can't be changed"),
        ("{**row, 'message_id': 'x'}", "message_id can't be changed"),
        ("{**row, 'a': 1}", "A message has no a"),
    ],
)
def test_wrong_messages_are_dead(value: str, text: str) -> None:
    """The others go on, unchanged."""
    batch = messages(b"0", b"1", b"2")
    result = applied(f"def f(row):\n  return {value} if row['data'] == b'1' else row", batch)
    assert result.ok == [batch.take(pa.array([0, 2]))]
    assert errors(result)["1"][0] == kinds.UDF_RESULT
    assert text in errors(result)["1"][1]


def test_changed_messages_may_carry_what_they_were() -> None:
    """So that a dead letter of a later step has the message as it came."""
    (ok,) = applied("def f(row): return {'data': 'x'}", messages(b"1"), Plan(keep_message=True)).ok
    assert ok.schema.names == [*MESSAGE_SCHEMA.names, MESSAGE]
    assert (column([ok], "data"), column([ok], MESSAGE)[0]["data"]) == ([b"x"], b"1")


def test_messages_can_become_typed_rows() -> None:
    """A function may be a parser of its own."""
    plan = Plan(schema=NUMBERS)
    (ok,) = applied("def f(row): return {'n': int(row['data'])}", messages(b"1", b"x"), plan).ok
    assert column([ok], "n") == [1]
    assert message_column(ok, "data").to_pylist() == [b"1"]


def test_rows_without_messages_are_taken_too() -> None:
    """Their dead letters have the row as JSON."""
    batch = Batch(numbers(1, 2).drop([MESSAGE]).rows)
    text = """
        def f(row):
            if row["n"] == 2: raise ValueError
            return [row, ("odd", row)]
    """
    result = applied(text, batch, Plan(typed=True, outputs=("odd",)))
    assert result.ok == [batch.slice(0, 1)]
    assert column(result.outputs["odd"], "data") == [b'{"n":1,"s":"1"}']
    assert result.dead is not None
    assert result.dead.column("data").to_pylist() == [b'{"n":2,"s":"2"}']


def test_no_rows_give_nothing() -> None:
    """An empty batch is no call."""
    result = applied("def f(row): raise ValueError", numbers().slice(0, 0))
    assert (result.ok, result.dead) == ((), None)
