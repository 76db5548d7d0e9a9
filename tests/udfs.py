"""User functions as tests write them: from source text to what becomes of a batch."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from transforms.batch import Batch
from transforms.message import MESSAGE_SCHEMA, attach_message
from transforms.udf import (
    BatchFunction,
    Compiled,
    Form,
    Function,
    Plan,
    Result,
    RowFunction,
    TextFunction,
    Unlimited,
    Watch,
)

NUMBERS = pa.schema([pa.field("n", pa.int64(), nullable=False), pa.field("s", pa.string())])
"""Of typed rows."""
OF_FORM: dict[Form, Any] = {
    Form.ROW: RowFunction, Form.BATCH: BatchFunction, Form.TEXT: TextFunction,
}  # fmt: skip


def messages(*payloads: bytes | None) -> Batch:
    """Return messages whose ids are their positions, with an attribute."""
    rows = [
        {"data": data, "message_id": str(index), "attributes": [("at", str(index))]}
        for index, data in enumerate(payloads)
    ]
    return Batch.from_pylist(rows, MESSAGE_SCHEMA)


def numbers(*values: int) -> Batch:
    """Return typed rows with their messages; the second column is the first as text."""
    rows = pa.RecordBatch.from_pylist([{"n": n, "s": str(n)} for n in values], schema=NUMBERS)
    return attach_message(rows, messages(*(b"%d" % n for n in values)))


def function(text: str, plan: Plan | None = None, watch: Watch | None = None) -> Function:
    """Return the function ``f`` of a source text."""
    compiled = Compiled("folder/file.py", "f", textwrap.dedent(text))
    return OF_FORM[compiled.signature.form](compiled, plan or Plan(), watch or Unlimited())


def applied(text: str, batch: Batch, plan: Plan | None = None) -> Result:
    """Apply the function ``f`` of a source text; by default to typed rows if these are such."""
    plan = plan or Plan(typed="n" in batch.schema.names)
    made = function(text, plan)
    result = made.apply(batch)
    made.close()
    require_account(result, len(batch))
    return result


def require_account(result: Result, rows: int) -> None:
    """Fail unless every row is accounted for."""
    gone = sum(map(len, result.ok)) + sum(len(b) for each in result.outputs.values() for b in each)
    dead = 0 if result.dead is None else len(result.dead)
    assert rows + result.made == gone + dead + result.dropped


def column(batches: Sequence[Batch], name: str) -> list[Any]:
    """Return the values of a column of all batches."""
    return [value for batch in batches for value in batch.column(name).to_pylist()]


def errors(result: Result) -> dict[str, tuple[str, str]]:
    """Return kind and text of the dead letters by the id of the message."""
    if result.dead is None:
        return {}
    names = ("message_id", "error_kind", "error")
    ids, kinds, texts = (result.dead.column(name).to_pylist() for name in names)
    return dict(zip(ids, zip(kinds, texts, strict=True), strict=True))
