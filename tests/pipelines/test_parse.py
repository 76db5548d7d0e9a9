"""Parse, conversions, mapping and projection on a runner: outputs, types, counters, windows."""

from __future__ import annotations

from collections import Counter
from typing import Any

import apache_beam as beam
import pyarrow as pa
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.transforms.window import FixedWindows, TimestampedValue

from transforms import metrics
from transforms.batch import Batch
from transforms.field import message
from transforms.map import MapBatches, MapRows
from transforms.message import MESSAGE, MESSAGE_SCHEMA, message_column
from transforms.parse import Parse
from transforms.project import Project
from transforms.rows import FromRows, ToRows

SCHEMA = pa.schema([pa.field("n", pa.int64(), nullable=False)])


def messages(*payloads: bytes) -> Batch:
    """Return messages whose ids are their positions."""
    return Batch.from_pylist(
        [{"data": data, "message_id": str(at)} for at, data in enumerate(payloads)], MESSAGE_SCHEMA
    )


def ids(batch: Batch) -> list[str]:
    """Return the ids of the messages of a batch."""
    return list(message_column(batch, "message_id").to_pylist())


def counters(result: Any) -> Counter[str]:
    """Return the counters of a finished pipeline, summed over its steps."""
    total: Counter[str] = Counter()
    for each in result.metrics().query()["counters"]:
        total[each.key.metric.name] += each.committed
    return total


def double(row: dict[str, Any]) -> dict[str, Any]:
    """Double the number; 13 raises an exception."""
    return {"n": row["n"] * 2 if row["n"] != 13 else 1 // 0}


def test_parse_splits_good_from_bad_and_counts_both() -> None:
    """Typed rows and failures are two outputs of batches, counted in the metrics."""
    pipeline = beam.Pipeline(runner=FnApiRunner())
    parsed = (
        pipeline
        | beam.Create([messages(b'{"n": 1}', b"x", b'{"n": 2}'), messages(b"y"), messages()])
        | Parse(SCHEMA)
    )
    assert (parsed.ok.element_type, parsed.dead.element_type) == (Batch, Batch)
    assert_that(parsed.ok | "ok" >> beam.Map(ids), equal_to([["0", "2"]]), "ok is")
    assert_that(parsed.dead | "dead" >> beam.Map(ids), equal_to([["1"], ["0"]]), "dead is")
    result = pipeline.run()
    assert counters(result) == {metrics.ROWS_PARSED.name: 2, metrics.DEAD_LETTERS.name: 2}


def test_rows_and_back() -> None:
    """Rows that become dictionaries and batches again keep their values and their messages."""
    schema = SCHEMA.append(pa.field(MESSAGE, pa.struct(list(MESSAGE_SCHEMA))))
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        parsed = pipeline | beam.Create([messages(b'{"n": 1}', b'{"n": 2}')]) | Parse(SCHEMA)
        made = parsed.ok | ToRows() | FromRows(schema)
        assert (made.ok.element_type, made.dead.element_type) == (Batch, Batch)
        rows = made.ok | beam.Map(lambda batch: (ids(batch), batch.column("n").to_pylist()))
        assert_that(rows, equal_to([(["0", "1"], [1, 2])]))


class Times(beam.DoFn):
    """Tells of each batch its values, its window and its timestamp."""

    def process(
        self,
        batch: Batch,
        window: Any = beam.DoFn.WindowParam,
        time: Any = beam.DoFn.TimestampParam,
    ) -> Any:
        """Yield one tuple."""
        values = batch.to_pylist()
        yield (
            sorted(row.get("n") or row["data"] for row in values),
            float(window.start),
            float(time),
        )


@pytest.mark.parametrize("rows_max", [2, 100])
def test_rows_are_gathered_by_window_at_their_earliest_time(rows_max: int) -> None:
    """A batch lies in one window, and is not later than any of its rows."""
    rows = [({"n": 1}, 5), ({"n": 2}, 3), ({"n": 3}, 12), ({"n": 4}, 11), ({"n": "x"}, 25)]
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        made = (
            pipeline
            | beam.Create([None])
            | beam.FlatMap(lambda _: [TimestampedValue(*pair) for pair in rows])
            | beam.WindowInto(FixedWindows(10))
            | FromRows(SCHEMA, rows_max=rows_max)
        )
        assert_that(
            made.ok | "ok" >> beam.ParDo(Times()), equal_to([([1, 2], 0, 3), ([3, 4], 10, 11)]), "1"
        )
        assert_that(
            made.dead | "dead" >> beam.ParDo(Times()), equal_to([([b'{"n": "x"}'], 20, 25)]), "2"
        )


def test_full_batches_leave_before_the_bundle_ends() -> None:
    """No batch has more rows than allowed, and none is lost."""
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        made = (
            pipeline
            | beam.Create([None])
            | beam.FlatMap(lambda _: ({"n": n} for n in range(10)))
            | FromRows(SCHEMA, rows_max=4)
        )
        assert_that(made.ok | beam.Map(len), equal_to([4, 4, 2]))


def test_functions_are_mapped_with_their_failures_to_dead() -> None:
    """Both forms of mapping give batches, and count their dead letters."""
    pipeline = beam.Pipeline(runner=FnApiRunner())
    payloads = [b'{"n": 1}', b'{"n": 13}', b'{"n": 3}']
    typed = pipeline | beam.Create([messages(*payloads)]) | Parse(SCHEMA)
    rows = typed.ok | MapRows(double, SCHEMA)
    batches = rows.ok | MapBatches(refuse_six)
    for output in (*rows, *batches):
        assert output.element_type == Batch
    assert_that(rows.dead | "a" >> beam.Map(ids), equal_to([["1"]]), "rows")
    assert_that(batches.ok | "b" >> beam.Map(ids), equal_to([["0"]]), "batches ok")
    assert_that(batches.dead | "c" >> beam.Map(ids), equal_to([["2"]]), "batches dead")
    assert counters(pipeline.run())[metrics.DEAD_LETTERS.name] == 2


def refuse_six(batch: Batch) -> Batch:
    """Fail on batches that hold a 6."""
    if 6 in batch.column("n").to_pylist():
        raise ValueError("six")
    return batch


def test_function_is_named_by_text() -> None:
    """The name is resolved on the worker."""
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        made = pipeline | beam.Create([messages(b"a")]) | MapBatches("copy:copy")
        assert_that(made.ok | beam.Map(ids), equal_to([["0"]]))


def test_projection() -> None:
    """Columns are dropped and added before a shuffle."""
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        parsed = pipeline | beam.Create([messages(b'{"n": 1}')]) | Parse(SCHEMA)
        chosen = parsed.ok | Project(drop=[MESSAGE], add={"id": message("message_id")})
        assert chosen.element_type == Batch
        assert_that(chosen | beam.Map(Batch.to_pylist), equal_to([[{"n": 1, "id": "0"}]]))
