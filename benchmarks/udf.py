"""Measure user functions beside Google's practice: ``python -m benchmarks.udf``.

Google's templates that take a function in Python compile its file for every element, with Beam's
``PythonCallableWithSource.load_from_script``, and call what they find with the payload. That call
is made here, in the same process and the same rounds as ours; what else those templates do for an
element is left out, in their favour. The work is the same for all: take one from a number of a
row. In text form the payload is parsed and written again; rows and batches are parsed already.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
from apache_beam.utils.python_callable import PythonCallableWithSource

from connectors import udf
from transforms.batch import Batch
from transforms.message import MESSAGE_SCHEMA, attach_message

__all__ = ["Way", "ways", "words"]

ROWS = 4_096
"""Of a batch: what the pipelines make of a backlog."""
COMPILED_ROWS = 256
"""Enough where each of them compiles a file."""
MORE_FUNCTIONS = 50
TIMEOUT_S = 10.0
SCHEMA = pa.schema(
    [
        pa.field("id", pa.int64(), nullable=False),
        pa.field("carrier", pa.string()),
        pa.field("distance", pa.float64()),
        pa.field("cancelled", pa.bool_()),
        pa.field("departure", pa.timestamp("us", "UTC")),
    ]
)
PYTHON = """
import json
import pyarrow as pa
import pyarrow.compute as pc

def text(payload: str):
    row = json.loads(payload)
    row["id"] -= 1
    return json.dumps(row)

def row(row):
    row["id"] -= 1
    return row

def batch(rows: pa.RecordBatch):
    return rows.set_column(0, "id", pc.subtract(rows["id"], 1))
"""
JAVASCRIPT = """
function text(payload) {
  const row = JSON.parse(payload);
  row.id -= 1;
  return JSON.stringify(row);
}
"""
MORE = "\n".join(
    f"def more_{number}(row):\n    row['value'] = {number}\n    return row\n"
    for number in range(MORE_FUNCTIONS)
)


@dataclass
class Way:
    """A way to apply the function, and how long it took in each round."""

    name: str
    run: Callable[[], int]
    """Apply it to its rows; return how many these are."""
    rounds_us: list[float] = field(default_factory=list)
    """Microseconds for a row."""

    @property
    def best_us(self) -> float:
        """The round that was disturbed least."""
        return min(self.rounds_us)


def main(argv: Sequence[str]) -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.udf", description=__doc__)
    parser.add_argument("--rounds", type=int, default=40, help="default: 40")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        measured = ways(Path(folder))
        for _ in range(options.rounds):
            for way in measured:
                began_s = time.perf_counter()
                rows = way.run()
                way.rounds_us.append((time.perf_counter() - began_s) / rows * 1e6)
    print(words(measured))
    print(json.dumps({way.name: way.rounds_us for way in measured}))
    return 0


def ways(folder: Path) -> list[Way]:
    """Return all ways, Google's first; each has been run once and gave what it should."""
    messages = _messages()
    typed = attach_message(pa.RecordBatch.from_pylist(_rows(), schema=SCHEMA), messages)
    payloads = [payload.decode() for payload in messages.column("data").to_pylist()]
    (folder / "f.py").write_text(PYTHON)
    (folder / "more.py").write_text(PYTHON + MORE)
    (folder / "f.js").write_text(JAVASCRIPT)
    made = [
        Way("Google's, compiled for each element", _compiled(PYTHON, payloads)),
        Way(f"the same with {MORE_FUNCTIONS} more functions", _compiled(PYTHON + MORE, payloads)),
        Way("text form", _ours(folder, "f.py:text", messages)),
        Way(f"text form with {MORE_FUNCTIONS} more", _ours(folder, "more.py:text", messages)),
        Way("JavaScript", _ours(folder, "f.js:text", messages)),
        Way("row form", _ours(folder, "f.py:row", typed)),
        Way("batch form", _ours(folder, "f.py:batch", typed)),
        Way("bare loop over text", _bare(payloads)),
        Way("bare call with a batch", _bare_batch(typed)),
    ]
    for way in made:
        way.run()
    return made


def words(measured: Sequence[Way]) -> str:
    """Return the figures, a line for each way, with what Google's takes as a multiple."""
    theirs, theirs_more = (way.best_us for way in measured[:2])
    return "\n".join(
        f"{way.name}: {way.best_us:.3f} us a row; Google's takes {theirs / way.best_us:,.1f} times"
        f" as long, with {MORE_FUNCTIONS} more functions {theirs_more / way.best_us:,.0f} times"
        for way in measured
    )


def _rows() -> list[dict[str, Any]]:
    start = dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc)
    return [
        {
            "id": number, "carrier": f"carrier {number % 16}", "distance": number * 0.5,
            "cancelled": number % 7 == 0, "departure": start + dt.timedelta(seconds=number),
        }
        for number in range(ROWS)
    ]  # fmt: skip


def _messages() -> Batch:
    rows = [
        {"data": json.dumps(row, default=dt.datetime.isoformat).encode(), "message_id": str(number)}
        for number, row in enumerate(_rows())
    ]
    return Batch.from_pylist(rows, MESSAGE_SCHEMA)


def _compiled(source: str, payloads: Sequence[str]) -> Callable[[], int]:
    some = payloads[:COMPILED_ROWS]

    def run() -> int:
        made = [PythonCallableWithSource.load_from_script(source, "text")(each) for each in some]
        return _checked(made)

    return run


def _ours(folder: Path, name: str, batch: Batch) -> Callable[[], int]:
    source = udf.load(f"{folder}/{name}")
    function = udf.opened(source, udf.Plan(typed="id" in batch.schema.names), TIMEOUT_S)

    def run() -> int:
        (made,) = function.apply(batch).ok
        if "id" in made.schema.names:
            _require(made.column("id")[-1].as_py() == ROWS - 2 and len(made) == ROWS)
            return ROWS
        return _checked(made.column("data"))

    return run


def _bare(payloads: Sequence[str]) -> Callable[[], int]:
    names: dict[str, Any] = {}
    exec(PYTHON, names)
    text = names["text"]
    return lambda: _checked([text(each) for each in payloads])


def _bare_batch(typed: Batch) -> Callable[[], int]:
    names: dict[str, Any] = {}
    exec(PYTHON, names)
    batch = names["batch"]
    return lambda: batch(typed.rows).num_rows


def _checked(made: Any) -> int:
    last = made[-1].as_py() if isinstance(made, pa.Array) else made[-1]
    _require(json.loads(last)["id"] == len(made) - 2)
    return len(made)


def _require(is_right: bool) -> None:
    if not is_right:
        raise SystemExit("a function has given something else than it should")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
