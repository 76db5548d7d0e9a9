"""Whatever a function does with each row, every row is accounted for."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from tests.udfs import column, function, messages, numbers, require_account
from transforms.message import MESSAGE, PART, message_column
from transforms.udf import Plan, Result

OUTPUTS = ("late", "odd")
GOOD = ["keep", "drop", "two", "late", "both", "empty"]
BAD = ["raise", "number", "unknown", "misfit", "half misfit", "generator"]
MAIN = {"keep": 1, "two": 2, "both": 1}
ROUTED = {"late": 1, "both": 2}
ROWS = """
def f(row, message):
    what = next(deeds)
    if what == "drop": return None
    if what == "empty": return []
    if what == "two": return [make(row), make(row)]
    if what == "late": return ("late", make(row))
    if what == "both": return [("late", make(row)), make(row), ("odd", make(row))]
    if what == "raise": raise ValueError(what)
    if what == "number": return 7
    if what == "unknown": return [make(row), ("never", make(row))]
    if what == "misfit": return wrong(row)
    if what == "half misfit": return [("odd", make(row)), make(row), wrong(row)]
    if what == "generator": return fail(row)
    return make(row)

def fail(row):
    yield make(row)
    raise KeyError
"""
TYPED_ROWS = f"{ROWS}\ndef make(row): return dict(row)\ndef wrong(row): return {{'n': 'x'}}\n"
PAYLOADS = (
    ROWS.replace("def f(row", "def f(row: str")
    + "\ndef make(row): return row + '!'\ndef wrong(row): return '\\ud800'\n"
)
BATCHES = """
import pyarrow as pa
def f(rows: pa.RecordBatch):
    result = {"": [], "late": [], "odd": []}
    for index, what in enumerate(deeds[n] for n in rows["n"].to_pylist()):
        if what in bad: raise ValueError(what)
        result[""] += [index] * main.get(what, 0)
        result["late"] += [index] * (what in ("late", "both"))
        result["odd"] += [index] * (what == "both")
    return {name: rows.take(pa.array(found, pa.int64())) for name, found in result.items()}
"""
deeds = st.lists(st.sampled_from(GOOD + BAD), max_size=40)


def ids(batches: Any) -> list[str]:
    """Return the ids of the messages of rows."""
    return [each for batch in batches for each in message_column(batch, "message_id").to_pylist()]


def require(result: Result, done: list[str]) -> None:
    """Fail unless each row is where its deed sends it, as often as that says, in order."""
    require_account(result, len(done))
    rows = list(enumerate(done))
    assert ids(result.ok) == [str(at) for at, what in rows for _ in range(MAIN.get(what, 0))]
    for name in OUTPUTS:
        sent = [str(at) for at, what in rows if what in {"both", name}]
        assert ids(result.outputs.get(name, ())) == sent
    dead = [] if result.dead is None else result.dead.column("message_id").to_pylist()
    assert dead == [str(at) for at, what in rows if what in BAD]
    assert column(result.ok, PART) == [n for what in done for n in range(MAIN.get(what, 0))]
    assert all(batch.schema.names[-2:] == [MESSAGE, PART] for batch in result.ok)


def ready(text: str, plan: Plan, **names: Any) -> Any:
    """Return the function of a source text, whose module has some names more."""
    made = function(text, plan)
    vars(made._compiled.module).update(names)  # type: ignore[attr-defined]
    return made


@given(deeds)
def test_every_row_of_a_row_function_is_accounted_for(done: list[str]) -> None:
    """Kept, dropped, made several, routed, or dead as a whole."""
    plan = Plan(typed=True, outputs=OUTPUTS, part=True)
    made = ready(TYPED_ROWS, plan, deeds=iter(done))
    require(made.apply(numbers(*range(len(done)))), done)
    made.close()


@given(deeds)
def test_every_payload_is_accounted_for(done: list[str]) -> None:
    """As the rows of a row function."""
    plan = Plan(outputs=OUTPUTS, part=True, keep_message=True)
    made = ready(PAYLOADS, plan, deeds=iter(done))
    require(made.apply(messages(*(b"%d" % at for at in range(len(done))))), done)
    made.close()


@given(deeds)
def test_every_row_of_a_batch_function_is_accounted_for(done: list[str]) -> None:
    """What makes a batch fail is found, and what it makes of the others stays."""
    plan = Plan(typed=True, outputs=OUTPUTS, part=True)
    made = ready(BATCHES, plan, deeds=done, main=MAIN, bad=BAD)
    require(made.apply(numbers(*range(len(done)))), done)
    made.close()


@given(st.lists(st.binary(max_size=4)), st.integers(0, 10), st.integers(0, 10))
def test_slices_are_whole_batches(payloads: list[bytes], offset: int, length: int) -> None:
    """A part of a batch gives what a batch of those rows gives."""
    text = "def f(data: bytes, message): return data + message['message_id'].encode()"
    batch = messages(*payloads).slice(offset, length)
    copy = pa.RecordBatch.from_pylist(batch.to_pylist(), schema=batch.schema)
    made = function(text, Plan())
    assert made.apply(batch).ok == made.apply(type(batch)(copy)).ok
    made.close()
