"""Rows are counted, whatever form they are in on their way."""

import pyarrow as pa

from transforms.batch import Batch
from transforms.field import column
from transforms.grouping import Grouping
from transforms.measures import Max
from transforms.weight import rows_in


def test_rows_of_batches_and_partials_are_counted() -> None:
    """A partial of five rows in two groups stands for five rows, and merged ones for all."""
    schema = pa.schema({"team": pa.string(), "n": pa.int64()})
    rows = Batch.from_pylist([{"team": "ab"[n % 2], "n": n} for n in range(5)], schema)
    grouping = Grouping((column("team"),), {"most": Max("n")})
    partial = grouping.partial(rows)
    assert (len(partial), rows_in(rows), rows_in(partial)) == (2, 5, 5)
    assert rows_in([partial, grouping.merge([partial, partial])]) == 15
    assert (rows_in(partial.slice(0, 0)), rows_in("else"), rows_in([])) == (0, 1, 0)
