"""User functions on batches and rows: results in order, failures alone to dead."""

from __future__ import annotations

import math
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from transforms import kinds
from transforms.batch import Batch
from transforms.errors import ConfigError, DataError, PermanentError, TransientError
from transforms.map import MapBatches, MapRows, map_batch, map_rows, resolve
from transforms.message import MESSAGE, MESSAGE_SCHEMA, attach_message, message_column

DOUBLED = pa.schema([pa.field("double", pa.int64(), nullable=False)])


def messages(count: int) -> Batch:
    """Return messages whose ids are their positions."""
    return Batch.from_pylist(
        [{"data": b"%d" % index, "message_id": str(index)} for index in range(count)],
        MESSAGE_SCHEMA,
    )


def numbers(*values: int | None) -> Batch:
    """Return typed rows with their messages."""
    typed = pa.RecordBatch.from_arrays([pa.array(values, pa.int64())], ["number"])
    return attach_message(typed, messages(len(values)))


def ids(batch: Batch | None) -> list[str]:
    """Return the ids of the messages of a batch."""
    return [] if batch is None else message_column(batch, "message_id").to_pylist()


def test_batch_function_is_called_once_when_it_succeeds() -> None:
    """Without failure there is no halving."""
    calls: list[int] = []

    def count(batch: Batch) -> Batch:
        calls.append(len(batch))
        return batch

    made, dead = map_batch(numbers(*range(100)), count, "step")
    assert (made, dead, calls) == ([numbers(*range(100))], None, [100])


def test_batch_function_may_return_several_batches() -> None:
    """A list or a generator of batches is passed on in order."""
    made, _ = map_batch(numbers(1, 2, 3), lambda batch: batch.split(2), "step")
    assert [ids(batch) for batch in made] == [["0", "1"], ["2"]]
    assert map_batch(numbers(1), lambda batch: [], "step") == ([], None)


def test_only_rows_that_make_a_batch_function_fail_are_dead() -> None:
    """The others come out once, in order, at a logarithmic number of calls per failure."""
    calls = 0

    def invert(batch: Batch) -> Batch:
        nonlocal calls
        calls += 1
        return batch.with_column("inverse", pc.divide(12, batch.column("number")))

    values = [0 if index in {100, 700} else 1 + index % 5 for index in range(1_024)]
    made, dead = map_batch(numbers(*values), invert, "invert")
    expected = [str(index) for index in range(1_024) if values[index]]
    assert [one for batch in made for one in ids(batch)] == expected
    assert ids(dead) == ["100", "700"]
    assert dead is not None
    assert set(dead.column("error_kind").to_pylist()) == {kinds.FUNCTION_FAILED}
    assert dead.column("error").to_pylist()[0] == "ArrowInvalid: divide by zero"
    assert dead.column("step").to_pylist() == ["invert", "invert"]
    assert calls <= 2 * 2 * math.log2(1_024) + 1


def test_generator_that_fails_in_the_middle_gives_no_row_twice() -> None:
    """What a call gave before it failed is thrown away with it."""

    def slowly(batch: Batch) -> Any:
        for part in batch.split(1):
            if part.column("number").to_pylist() == [0]:
                raise DataError("zero")
            yield part

    made, dead = map_batch(numbers(1, 2, 0, 3), slowly, "step")
    assert [one for batch in made for one in ids(batch)] == ["0", "1", "3"]
    assert ids(dead) == ["2"]


@pytest.mark.parametrize("error", [TransientError, PermanentError])
def test_outages_are_no_fault_of_the_rows(error: type[Exception]) -> None:
    """Errors that say so stop the step instead of filling the dead letter."""

    def fail(_: Any) -> Any:
        raise error("down")

    with pytest.raises(error, match="down"):
        map_batch(numbers(1), fail, "step")
    with pytest.raises(error, match="down"):
        map_rows(numbers(1), fail, DOUBLED, "step")


def fail_at_five(row: dict[str, Any]) -> Any:
    if row["data"] == b"5":
        raise PermanentError("down")
    return {"double": 2}


def test_outage_names_the_message_of_the_row() -> None:
    """The message that a function chokes on is told, also when rows are mapped one by one."""
    with pytest.raises(PermanentError, match=r"down \(at Batch\(1 row of message '5'"):
        map_rows(messages(9), fail_at_five, DOUBLED, "step")


def test_outage_names_the_messages_of_the_batch() -> None:
    """What stops a call with a whole batch is told with the messages of the batch."""

    def fail(batch: Batch) -> Any:
        raise TransientError("down" if len(batch) < 9 else "busy")

    with pytest.raises(TransientError, match=r"busy \(at Batch\(9 rows of messages '0' to '8'"):
        map_batch(messages(9), fail, "step")


def test_outage_of_a_part_names_the_part() -> None:
    """An outage that shows while bad rows are looked for is told with those that are left."""

    def fail(batch: Batch) -> Any:
        if len(batch) > 2:
            raise ValueError("one of them is bad")
        raise PermanentError("down")

    with pytest.raises(PermanentError) as raised:
        map_batch(messages(8), fail, "step")
    assert str(raised.value).startswith("down (at Batch(2 rows of messages '0' to '1'")
    assert str(raised.value).count("(at ") == 1


def test_outage_without_text() -> None:
    """An error without arguments gets a text."""

    def fail(_: Any) -> Any:
        raise PermanentError

    with pytest.raises(PermanentError, match=r"Batch\(1 row"):
        map_rows(numbers(1), fail, DOUBLED, "step")


def test_wrong_parameter_keeps_its_fields() -> None:
    """An error about a parameter names the parameter, and nothing else."""

    def fail(_: Any) -> Any:
        raise ConfigError("unit", "x", "is unknown", "Use m")

    with pytest.raises(ConfigError) as raised:
        map_rows(numbers(1), fail, DOUBLED, "step")
    assert str(raised.value) == "unit='x': is unknown. Use m"


@pytest.mark.parametrize("result", [5, [5], "ab", {"a": 1}])
def test_function_that_returns_no_batch_stops_the_step(result: Any) -> None:
    """A function that returns something else is wrong for every row."""
    with pytest.raises(Exception, match="must return a Batch"):
        map_batch(numbers(1, 2), lambda _: result, "step")


def test_empty_batch_has_nothing_to_reject() -> None:
    """A function that can't bear an empty batch loses nothing."""
    assert map_batch(numbers(), lambda batch: 1 / len(batch), "step") == ([], None)
    made, dead = map_rows(numbers(), lambda row: row, DOUBLED, "step")
    assert (len(made), dead) == (0, None)


def test_rows_are_mapped_dropped_or_dead_each_with_its_message() -> None:
    """Each row that comes out has the message of the row that went in."""

    def double(row: dict[str, Any]) -> dict[str, Any] | None:
        if row["number"] == 3:
            return None
        return {"double": 24 // row["number"]}

    made, dead = map_rows(numbers(1, 0, 2, 3, None, 4), double, DOUBLED, "double")
    assert made.column("double").to_pylist() == [24, 12, 6]
    assert ids(made) == ["0", "2", "5"]
    assert ids(dead) == ["1", "4"]
    assert dead is not None
    assert [text.split(":")[0] for text in dead.column("error").to_pylist()] == [
        "ZeroDivisionError",
        "TypeError",
    ]


def test_results_that_do_not_fit_are_dead() -> None:
    """A result must be a dictionary of the declared columns."""
    results: list[Any] = [{"double": 1}, {"double": "x"}, {}, [1], None, {"double": 2}]

    def pick(row: dict[str, Any]) -> Any:
        return results[row["number"]]

    made, dead = map_rows(numbers(*range(6)), pick, DOUBLED, "step")
    assert ids(made) == ["0", "5"]
    assert ids(dead) == ["1", "2", "3"]
    assert dead is not None
    assert dead.column("error_kind").to_pylist() == [
        kinds.WRONG_TYPE,
        kinds.MISSING_FIELD,
        kinds.WRONG_TYPE,
    ]


def test_messages_themselves_can_be_mapped() -> None:
    """A function may parse a payload on its own; the message stays with its row."""
    made, dead = map_rows(
        messages(3), lambda row: {"double": 2 * int(row["data"])}, DOUBLED, "step"
    )
    assert dead is None
    assert made.column("double").to_pylist() == [0, 2, 4]
    assert message_column(made, "data").to_pylist() == [b"0", b"1", b"2"]


def test_rows_without_message_are_dead_as_json() -> None:
    """Where the message was projected away, the columns are kept instead."""
    bare = numbers(1, 0).drop([MESSAGE])
    made, dead = map_rows(bare, lambda row: {"double": 2 // row["number"]}, DOUBLED, "step")
    assert made.schema == DOUBLED
    assert dead is not None
    assert dead.column("data").to_pylist() == [b'{"number":0}']


def test_function_is_found_by_its_name() -> None:
    """A name is resolved to what an import of it gives, also inside of classes."""
    assert resolve("math:sqrt") is math.sqrt
    assert resolve("transforms.batch:Batch.concat") == Batch.concat
    assert resolve(math.sqrt) is math.sqrt


@pytest.mark.parametrize(
    "name", ["", "math", "math:", ":sqrt", "nowhere:f", "math:nothing", "math:pi"]
)
def test_name_of_no_function_is_refused(name: str) -> None:
    """The pipeline isn't started."""
    for build in (lambda: MapBatches(name), lambda: MapRows(name, DOUBLED)):
        with pytest.raises(ConfigError, match=r"^fn="):
            build()


def test_reserved_column_is_refused() -> None:
    """A result can't bring its own message."""
    with pytest.raises(ConfigError, match="_message"):
        MapRows(lambda row: row, pa.schema([(MESSAGE, pa.string())]))
