"""From what a function returned for single rows to batches: each row wholly or not at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from transforms.batch import Batch
from transforms.message import MESSAGE, PART
from transforms.udf.results import Plan, Result, dead_letters, messages_of
from transforms.udf.sorting import Lot, Sorted

__all__ = ["Made", "Make", "result_of", "taken", "with_reserved"]

Rows = npt.NDArray[np.int64]
Errors = dict[int, tuple[str, str]]
Made = tuple[Batch, Errors]
"""Batches of those things that fit, and the errors of the others by their position."""
Make = Callable[[Lot, Batch], Made]


def result_of(batch: Batch, found: Sorted, plan: Plan, make: Make, route: Make) -> Result:
    """Return what becomes of a batch.

    Args:
        batch: that the function was given.
        found: what it returned for its rows.
        plan: of the step.
        make: makes rows of the main output, without the reserved columns.
        route: makes messages of a named output.
    """
    errors = dict(found.errors)
    main = _made(found.main, batch, make, errors)
    routed = {
        name: _made(lot, batch, route, errors) for name, lot in found.routed.items() if lot.values
    }
    ok, origin = _without(*main, errors)
    outputs = {name: _without(*each, errors)[0] for name, each in routed.items()}
    rows = len(ok) + sum(map(len, outputs.values()))
    return Result(
        [with_reserved(ok, batch, origin, plan)] if len(ok) else [],
        dead_letters(batch, plan.step, errors),
        {name: [each] for name, each in outputs.items() if len(each)},
        found.dropped,
        rows + found.dropped + len(errors) - len(batch),
    )


def taken(batch: Batch, origin: Rows) -> Batch:
    """Return the rows that things were made of; the batch itself if it is each row once."""
    is_whole = len(origin) == len(batch) and bool((origin == np.arange(len(batch))).all())
    return batch if is_whole else batch.take(pa.array(origin))


def with_reserved(made: Batch, batch: Batch, origin: Rows, plan: Plan) -> Batch:
    """Return rows with the reserved columns that the plan wants.

    Args:
        made: rows of the main output.
        batch: that the function was given.
        origin: for each of the rows, which one of the batch it was made of; it never goes down.
        plan: of the step.
    """
    came = messages_of(batch)
    if came is not None and (plan.keep_message or not plan.gives_messages):
        whole = Batch(pa.RecordBatch.from_arrays([came], [MESSAGE]))
        made = made.with_column(MESSAGE, taken(whole, origin).column(MESSAGE))
    if plan.part:
        parts = np.arange(len(origin)) - np.searchsorted(origin, origin)
        made = made.with_column(PART, pa.array(parts, pa.int32()))
    return made


def _made(lot: Lot, batch: Batch, make: Make, errors: Errors) -> tuple[Batch, Rows]:
    """Make the batch; add the errors, by the row of the batch that was given."""
    origin: Rows = np.asarray(lot.origin, np.int64)
    made, misfits = make(lot, batch)
    for position, error in misfits.items():
        errors.setdefault(int(origin[position]), error)
    return made, np.delete(origin, list(misfits)) if misfits else origin


def _without(made: Batch, origin: Rows, errors: Any) -> tuple[Batch, Rows]:
    """Leave out whatever was made of rows that have an error."""
    if not errors:
        return made, origin
    keep = ~np.isin(origin, list(errors))
    return (made, origin) if keep.all() else (made.filter(pa.array(keep)), origin[keep])
