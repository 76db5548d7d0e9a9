"""What ``Aggregate`` can compute of a group: count, sum, min, max, mean, distinct.

A measure is an algebra of three steps on columns. ``lift`` turns each row into a state, one or
more columns; states of one group are folded by the kernels that ``lift`` names, in any order and
any number of times; ``finish`` turns folded states into the answer. Nulls are ignored as in SQL:
a group without any value has a null answer, or 0 from ``Count`` and ``Distinct``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pat

from transforms.batch import Batch
from transforms.errors import ConfigError, PermanentError
from transforms.field import Field, column
from transforms.lookup import look_up

__all__ = [
    "Count",
    "Distinct",
    "Max",
    "Mean",
    "Measure",
    "Min",
    "State",
    "Sum",
    "as_field",
    "fields_of",
]


class State(NamedTuple):
    """One column of a measure's state, and the kernel that folds it: sum, min, max or union."""

    values: pa.Array
    kernel: str


class _Rule(NamedTuple):
    """The types that a measure is defined for."""

    accepts: Callable[[pa.DataType], bool]
    text: str


def as_field(field: Field | str) -> Field:
    """Return the field; a text names a column."""
    return column(field) if isinstance(field, str) else field


@dataclass(frozen=True)
class Count:
    """The number of rows, int64."""

    def lift(self, batch: Batch, name: str) -> list[State]:  # noqa: ARG002 (one protocol)
        """Return 1 for each row."""
        return [State(pa.array(np.ones(len(batch), np.int64)), "sum")]

    def finish(self, states: Sequence[pa.Array], name: str) -> pa.Array:  # noqa: ARG002
        """Return the counts."""
        return states[0]


@dataclass(frozen=True)
class _OfColumn:
    """A measure of one column."""

    of: Field | str

    def values(self, batch: Batch, name: str, rule: _Rule) -> pa.Array:
        """Return the column, of a type that the rule accepts.

        Raises:
            ConfigError: there is no such column, or the measure is not defined for its type.
        """
        measure, field = f"measure {name}", as_field(self.of)
        values = look_up(measure, field, batch)
        if not rule.accepts(values.type):
            raise ConfigError(
                measure, f"{type(self).__name__}({field})", f"{rule.text}, not {values.type}",
                "Cast the column before Aggregate or choose another measure",
            )  # fmt: skip
        return values


_LOW_BITS: Final = 32
_LOW_MASK: Final = (1 << _LOW_BITS) - 1
_DIGITS_MAX: Final = 28
"""Digits of a decimal whose sum over 10**10 rows still fits the 38 digits of decimal128."""


def _summable(kind: pa.DataType) -> bool:
    short = pat.is_decimal128(kind) and kind.precision <= _DIGITS_MAX
    return pat.is_integer(kind) or pat.is_floating(kind) or short


_SUMMABLE: Final = _Rule(
    _summable, "must be of integers, floats or decimal128 of at most 28 digits"
)


def _lift_sum(values: pa.Array) -> list[State]:
    """Integers become two columns, high and low halves: neither overflows below 2**31 rows."""
    if not pat.is_integer(values.type):
        kind = (
            pa.float64() if pat.is_floating(values.type) else pa.decimal128(38, values.type.scale)
        )
        return [State(values.cast(kind), "sum")]
    wide = values.cast(pa.uint64() if pat.is_unsigned_integer(values.type) else pa.int64())
    high = pc.shift_right(wide, pa.scalar(_LOW_BITS, wide.type))
    low = pc.bit_wise_and(wide, pa.scalar(_LOW_MASK, wide.type))
    return [State(high, "sum"), State(low, "sum")]


@dataclass(frozen=True)
class Sum(_OfColumn):
    """The sum: int64 or uint64 of integers, float64 of floats, decimal128(38, s) of decimals.

    Integer sums are exact on the way, whatever the order; if the answer does not fit 64 bits,
    the pipeline stops with a clear error instead of a wrong number.
    """

    def lift(self, batch: Batch, name: str) -> list[State]:
        """Return each row's value."""
        return _lift_sum(self.values(batch, name, _SUMMABLE))

    def finish(self, states: Sequence[pa.Array], name: str) -> pa.Array:
        """Return the sums.

        Raises:
            PermanentError: an integer sum does not fit 64 bits.
        """
        if len(states) == 1:
            return states[0]
        high, low = _carry(states)
        limit = 1 << _LOW_BITS if pat.is_unsigned_integer(high.type) else 1 << (_LOW_BITS - 1)
        least = 0 if pat.is_unsigned_integer(high.type) else -limit
        if high.null_count < len(high) and not (
            pc.min(high).as_py() >= least and pc.max(high).as_py() < limit
        ):
            raise PermanentError(
                f"measure {name}: the sum of {self.of} exceeds {high.type}. "
                "Cast the column to decimal128(20, 0) or float64 before Aggregate"
            )
        return pc.bit_wise_or(pc.shift_left(high, pa.scalar(_LOW_BITS, high.type)), low)


def _carry(states: Sequence[pa.Array]) -> tuple[pa.Array, pa.Array]:
    high, low = states
    carried = pc.shift_right(low, pa.scalar(_LOW_BITS, low.type))
    return pc.add(high, carried), pc.bit_wise_and(low, pa.scalar(_LOW_MASK, low.type))


@dataclass(frozen=True)
class Mean(_OfColumn):
    """The sum divided by the number of values, float64; the sum of integers is exact."""

    def lift(self, batch: Batch, name: str) -> list[State]:
        """Return each row's value and whether there is one."""
        values = self.values(batch, name, _SUMMABLE)
        return [State(values.is_valid().cast(pa.int64()), "sum"), *_lift_sum(values)]

    def finish(self, states: Sequence[pa.Array], name: str) -> pa.Array:  # noqa: ARG002
        """Return the means."""
        count, *totals = states
        if len(totals) == 1:
            return pc.divide(totals[0].cast(pa.float64()), count.cast(pa.float64()))
        high, low = (half.cast(pa.float64()) for half in _carry(totals))
        return pc.divide(
            pc.add(pc.multiply(high, float(1 << _LOW_BITS)), low), count.cast(pa.float64())
        )


def _ordered(kind: pa.DataType) -> bool:
    text = pat.is_string, pat.is_large_string, pat.is_binary, pat.is_large_binary
    other = pat.is_boolean, pat.is_temporal, pat.is_decimal, *text
    return _summable(kind) or (
        any(fits(kind) for fits in other) and not (pat.is_duration(kind) or pat.is_interval(kind))
    )


_ORDERED: Final = _Rule(_ordered, "must be of numbers, texts, bytes, booleans or times")


@dataclass(frozen=True)
class Min(_OfColumn):
    """The least value, of the column's type; NaN counts only where there is nothing else."""

    kernel: ClassVar[str] = "min"

    def lift(self, batch: Batch, name: str) -> list[State]:
        """Return each row's value."""
        return [State(self.values(batch, name, _ORDERED), self.kernel)]

    def finish(self, states: Sequence[pa.Array], name: str) -> pa.Array:  # noqa: ARG002
        """Return the values."""
        return states[0]


@dataclass(frozen=True)
class Max(Min):
    """The greatest value, of the column's type; NaN counts only where there is nothing else."""

    kernel: ClassVar[str] = "max"


_PLAIN: Final = _Rule(
    lambda kind: not pat.is_nested(kind) and not pat.is_dictionary(kind), "must be of plain values"
)


@dataclass(frozen=True)
class Distinct(_OfColumn):
    """The exact number of different values, int64; its state keeps every one of them."""

    def lift(self, batch: Batch, name: str) -> list[State]:
        """Return each row's value as a list of one, or an empty list for null."""
        values = self.values(batch, name, _PLAIN)
        ends = np.cumsum(values.is_valid().to_numpy(zero_copy_only=False), dtype=np.int32)
        offsets = pa.array(np.concatenate((np.zeros(1, np.int32), ends)))
        return [State(pa.ListArray.from_arrays(offsets, values.drop_null()), "union")]

    def finish(self, states: Sequence[pa.Array], name: str) -> pa.Array:  # noqa: ARG002
        """Return how many values each list holds."""
        return pc.list_value_length(states[0]).cast(pa.int64())


Measure = Count | Sum | Min | Max | Mean | Distinct


def fields_of(measure: Measure) -> tuple[Field, ...]:
    """Return the fields that a measure looks at."""
    return () if isinstance(measure, Count) else (as_field(measure.of),)
