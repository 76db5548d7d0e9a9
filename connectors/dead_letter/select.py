"""Which failures are meant: by pipeline, step, kind of error and time. Pure."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc

from transforms.batch import Batch
from transforms.failure import FAILED_AT

__all__ = ["Selection"]


@dataclass(frozen=True)
class Selection:
    """Failures that meet all conditions; a condition that is empty or None is met by all.

    Args:
        pipelines: names, one of which the failure must have.
        steps: as ``pipelines``.
        error_kinds: as ``pipelines``.
        since: the failure was at this time or later.
        until: the failure was before this time.
    """

    pipelines: Sequence[str] = ()
    steps: Sequence[str] = ()
    error_kinds: Sequence[str] = ()
    since: dt.datetime | None = None
    until: dt.datetime | None = None

    def mask(self, failures: Batch) -> pa.BooleanArray:
        """Return which rows are meant, without nulls."""
        conditions = [
            pc.is_in(failures.column(name), value_set=pa.array(wanted, pa.string()))
            for name, wanted in (
                ("pipeline", self.pipelines),
                ("step", self.steps),
                ("error_kind", self.error_kinds),
            )
            if wanted
        ]
        times = failures.column("failed_at")
        if self.since is not None:
            conditions.append(pc.greater_equal(times, pa.scalar(self.since, FAILED_AT)))
        if self.until is not None:
            conditions.append(pc.less(times, pa.scalar(self.until, FAILED_AT)))
        everything = pa.repeat(True, len(failures))
        return pc.fill_null(reduce(pc.and_, conditions, everything), False)
