"""Group-by as a pure algebra on batches: ``partial`` of rows, ``merge`` of partials, ``finish``.

``merge`` is associative and commutative up to the order of groups and the rounding of floats, so
that partials may be merged anywhere, in any order, in any number of steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from transforms.batch import Batch
from transforms.errors import ConfigError
from transforms.field import Field
from transforms.groups import first_rows, group_numbers
from transforms.lookup import look_up
from transforms.measures import Measure, State

__all__ = ["ROWS", "Grouping"]

ROWS = "rows/sum"
"""Column of a partial: how many rows a group has."""
_GROUP = "group"
_Columns = list[tuple[str, pa.Array]]


@dataclass(frozen=True)
class Grouping:
    """Groups of rows with equal ``by`` fields, null being a value, and what is measured of each.

    A partial has one row per group: a column for each ``by`` field, then the columns of each
    measure's state, named ``<number of the measure>/<kernel>/<number of the column>``, then
    ``ROWS``.
    """

    by: tuple[Field, ...]
    measures: Mapping[str, Measure]

    def partial(self, batch: Batch) -> Batch:
        """Return the states of the groups of a batch."""
        keys = [(f"by/{number}", _key(field, batch)) for number, field in enumerate(self.by)]
        states = {
            f"{number}/{state.kernel}/{column}": state
            for number, (name, measure) in enumerate(self.measures.items())
            for column, state in enumerate(measure.lift(batch, name))
        }
        states[ROWS] = State(pa.repeat(pa.scalar(1, pa.int64()), len(batch)), "sum")
        return _fold(keys, states)

    def merge(self, partials: Sequence[Batch]) -> Batch:
        """Return the states of the groups of all partials; at least one partial is needed."""
        if len(partials) == 1:
            return partials[0]
        keys, columns = self._columns(Batch.concat(partials))
        states = {name: State(values, name.split("/")[1]) for name, values in columns}
        return _fold(keys, states)

    def finish(self, state: Batch) -> dict[str, pa.Array]:
        """Return the columns of the answer: the ``by`` columns and the measures."""
        keys, columns = self._columns(state)
        answer = {field.name: key for field, (_, key) in zip(self.by, keys, strict=True)}
        for number, (name, measure) in enumerate(self.measures.items()):
            own = [values for path, values in columns if path.startswith(f"{number}/")]
            answer[name] = measure.finish(own, name)
        return answer

    def _columns(self, state: Batch) -> tuple[_Columns, _Columns]:
        columns = list(zip(state.schema.names, state.rows.columns, strict=True))
        return columns[: len(self.by)], columns[len(self.by) :]


def _key(field: Field, batch: Batch) -> pa.Array:
    values = look_up("by", field, batch)
    if pa.types.is_nested(values.type):
        raise ConfigError(
            "by", str(field), f"must hold plain values, not {values.type}", "Name a plain column"
        )
    return values


def _fold(keys: _Columns, states: Mapping[str, State]) -> Batch:
    rows = len(next(iter(states.values())).values)
    numbers = group_numbers([values for _, values in keys], rows)
    firsts = first_rows(numbers)
    folded = {name: values.take(pa.array(firsts)) for name, values in keys}
    folded |= _fold_scalars(numbers, states)
    for name, state in states.items():
        if state.kernel == "union":
            folded[name] = _unite(numbers, len(firsts), state.values)
    return Batch(
        pa.RecordBatch.from_pydict({name: folded[name] for name in (*dict(keys), *states)})
    )


def _fold_scalars(
    numbers: npt.NDArray[np.int64], states: Mapping[str, State]
) -> dict[str, pa.Array]:
    scalars = {name: state for name, state in states.items() if state.kernel != "union"}
    columns = [pa.array(numbers), *(state.values for state in scalars.values())]
    # On one thread the groups come in the order of their first rows: that of their numbers.
    grouped = pa.table(columns, [_GROUP, *scalars]).group_by(_GROUP, use_threads=False)
    folded = grouped.aggregate([(name, state.kernel) for name, state in scalars.items()])
    return {
        name: folded.column(f"{name}_{state.kernel}").combine_chunks()
        for name, state in scalars.items()
    }


def _unite(numbers: npt.NDArray[np.int64], groups: int, lists: pa.ListArray) -> pa.ListArray:
    """Return for each group the different values of its lists."""
    owners = numbers[pc.list_parent_indices(lists).to_numpy()]
    values = lists.flatten()
    firsts = first_rows(group_numbers([pa.array(owners), values], len(values)))
    order = firsts[np.argsort(owners[firsts], kind="stable")]
    counts = np.bincount(owners[firsts], minlength=groups)
    offsets = np.concatenate(([0], np.cumsum(counts))).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), values.take(pa.array(order)))
