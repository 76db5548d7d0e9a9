"""The batch form: a function that is given all rows of a batch at once."""

from __future__ import annotations

from dataclasses import dataclass, field

from transforms import kinds
from transforms.batch import Batch
from transforms.udf.calls import Calls, Failed, call_each
from transforms.udf.compiled import Compiled
from transforms.udf.limit import Watch
from transforms.udf.results import Plan, Result, dead_letters
from transforms.udf.tables import MisfitError, Parts, ShapeError, given, parts_of

__all__ = ["OVERRUNS_MAX", "BatchFunction"]

OVERRUNS_MAX = 16
"""Calls of one batch that may take too long; what is not done then is dead. By halving, one slow
row among 4,096 is found with 13."""


@dataclass
class _Found:
    """What is known of a batch so far."""

    ok: list[Batch] = field(default_factory=list)
    outputs: dict[str, list[Batch]] = field(default_factory=dict)
    errors: dict[int, tuple[str, str]] = field(default_factory=dict)
    dropped: int = 0
    made: int = 0
    overruns: int = 0

    def add(self, parts: Parts, rows: int) -> None:
        """Add what was made of some rows."""
        if len(parts.main):
            self.ok.append(parts.main)
        for name, each in parts.routed.items():
            self.outputs.setdefault(name, []).append(each)
        beyond = len(parts.main) + sum(map(len, parts.routed.values())) - rows
        self.made += max(beyond, 0)
        self.dropped += max(-beyond, 0)


class BatchFunction:
    """A function of a ``pyarrow.RecordBatch``.

    If it fails, the batch is halved until only the rows that make it fail are left. So it may be
    called again with parts of a batch, and what it makes of a row must not depend on the others.

    What it drops and what it makes is known by the number of rows only: a call that drops one row
    and makes two of another has done neither.
    """

    def __init__(self, compiled: Compiled, plan: Plan, watch: Watch) -> None:
        self._compiled, self._plan, self._watch = compiled, plan, watch

    def apply(self, batch: Batch) -> Result:
        """Call the function for all rows, and for parts of them where it fails."""
        found = _Found()
        if len(batch):
            self._halve(batch, 0, found)
        dead = dead_letters(batch, self._plan.step, found.errors)
        return Result(found.ok, dead, found.outputs, found.dropped, found.made)

    def close(self) -> None:
        """Forget the module."""
        self._compiled.close()

    def _halve(self, batch: Batch, first: int, found: _Found) -> None:
        parts = self._called(batch) if found.overruns < OVERRUNS_MAX else self._given_up()
        if isinstance(parts, Parts):
            found.add(parts, len(batch))
            return
        failed, worth_halving = parts
        found.overruns += failed.kind == kinds.UDF_TIMEOUT
        half = len(batch) // 2
        if half and worth_halving:
            self._halve(batch.slice(0, half), first, found)
            self._halve(batch.slice(half), first + half, found)
        else:
            found.errors |= dict.fromkeys(range(first, first + len(batch)), failed)

    def _called(self, batch: Batch) -> Parts | tuple[Failed, bool]:
        """Return what the function makes of rows, or why not, and whether parts may do better."""
        rows = given(batch, self._plan)
        calls = Calls(self._compiled.call, [[rows]], lambda _: [rows], self._compiled.path)
        (result,) = call_each(calls, self._watch)
        if isinstance(result, Failed):
            return result, True
        try:
            return parts_of(result, batch, self._plan)
        except (MisfitError, ShapeError) as error:
            return Failed(kinds.UDF_RESULT, str(error)), isinstance(error, MisfitError)

    def _given_up(self) -> tuple[Failed, bool]:
        limit_s = self._watch.limit_s
        text = f"{OVERRUNS_MAX} calls for parts of its batch took longer than {limit_s:g} s each"
        return Failed(kinds.UDF_TIMEOUT, text), False
