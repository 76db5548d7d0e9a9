"""Which folder a row belongs to: partitions by column or by event time, split without loops."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from connectors.lake.layout import folder_part
from transforms.batch import Batch
from transforms.errors import ConfigError, PermanentError

__all__ = ["Granularity", "Partition", "split"]

_TEXT = re.compile(
    r"(?:(?P<name>\w+)=)?(?:(?P<unit>[a-z]+)\((?P<inner>[^()]+)\)|(?P<column>[^()=]+))"
)


class Granularity(Enum):
    """How finely event time is partitioned; the value is NumPy's code of the unit."""

    YEAR = "Y"
    MONTH = "M"
    DATE = "D"
    HOUR = "h"
    MINUTE = "m"


@dataclass(frozen=True)
class Partition:
    """One level of folders, ``name=value``.

    Attributes:
        column: where the value is taken from.
        granularity: for a time: the part of it that the folder shows, in UTC; None takes the
            column's value as it is.
        name: of the folder.
    """

    column: str
    granularity: Granularity | None = None
    name: str = ""

    def __post_init__(self) -> None:
        if not self.name:
            unit = self.granularity
            object.__setattr__(self, "name", unit.name.lower() if unit else self.column)

    @classmethod
    def parse(cls, text: str) -> tuple[Partition, ...]:
        """Read levels such as ``date(event_time),carrier`` or ``day=date(event_time)``.

        Raises:
            ConfigError: the text can't be read, or two levels have one name.
        """
        levels = tuple(_level(part.strip()) for part in text.split(",")) if text.strip() else ()
        if len({level.name for level in levels}) != len(levels):
            raise ConfigError(
                "partition_by", text, "names two levels alike",
                "Give one of them a name of its own, as in day=date(event_time)",
            )  # fmt: skip
        return levels

    @property
    def is_value(self) -> bool:
        """Tell whether the folder holds the column's value, so that the file need not."""
        return self.granularity is None and self.name == self.column

    def encode(self, batch: Batch) -> tuple[np.ndarray, list[str | None]]:
        """Return a code for each row, and the text of the folder for each code."""
        values = _column(batch, self.column)
        plain = (
            values if self.granularity is None else _floor(values, self.column, self.granularity)
        )
        coded = plain.dictionary_encode(null_encoding="encode")
        return coded.indices.to_numpy(), self._texts(coded.dictionary)

    def _texts(self, values: pa.Array) -> list[str | None]:
        if self.granularity is None:
            return _value_texts(values, self.column)
        times = values.fill_null(0).to_numpy().view(f"datetime64[{self.granularity.value}]")
        texts = np.datetime_as_string(times).tolist()
        return [
            text if valid else None
            for text, valid in zip(texts, values.is_valid().to_pylist(), strict=True)
        ]

    def __str__(self) -> str:
        if self.granularity is None:
            return self.column
        return f"{self.name}={self.granularity.name.lower()}({self.column})"


def split(
    batch: Batch, levels: Sequence[Partition], *, whole: bool = False
) -> Iterator[tuple[str, Batch]]:
    """Yield the rows of each folder, in their order.

    A batch that belongs to one folder is not copied.

    Args:
        batch: the rows.
        levels: of folders.
        whole: rows keep the columns that the folder tells, and the empty string is not null.
    """
    if not levels or not len(batch):
        yield "", batch
        return
    encoded = [level.encode(batch) for level in levels]
    rows = batch
    if not whole:
        rows = batch.drop(level.column for level in levels if level.is_value)
        _check_names(rows, levels)
    codes = encoded[0][0].astype(np.int64)
    for more, texts in encoded[1:]:
        codes = codes * len(texts) + more
    for code, part in _groups(rows, codes):
        folder = _folder(levels, [texts for _, texts in encoded], code, keep_empty=whole)
        yield folder, part


def _groups(rows: Batch, codes: np.ndarray) -> Iterator[tuple[int, Batch]]:
    if codes.min() == codes.max():
        yield int(codes[0]), rows
        return
    order = np.argsort(codes, kind="stable")
    ordered = codes[order]
    starts = np.flatnonzero(np.diff(ordered, prepend=ordered[0] - 1))
    sorted_rows = rows.take(pa.array(order))
    for start, end in zip(starts, [*starts[1:], len(ordered)], strict=True):
        yield int(ordered[start]), sorted_rows.slice(int(start), int(end - start))


def _folder(
    levels: Sequence[Partition], texts: list[list[str | None]], code: int, *, keep_empty: bool
) -> str:
    parts: list[str] = []
    for level, values in zip(reversed(levels), reversed(texts), strict=True):
        code, index = divmod(code, len(values))
        parts.append(folder_part(level.name, values[index], keep_empty=keep_empty))
    return "/".join(reversed(parts))


def _level(text: str) -> Partition:
    found = _TEXT.fullmatch(text)
    units = {unit.name.lower(): unit for unit in Granularity}
    if found is None or (found["unit"] and found["unit"] not in units):
        raise ConfigError(
            "partition_by", text, "must be COLUMN or UNIT(COLUMN), or NAME= before either",
            f"Write for example carrier or date(event_time); units are {', '.join(units)}",
        )  # fmt: skip
    name = found["name"] or ""
    if found["column"]:
        return Partition(found["column"].strip(), None, name)
    return Partition(found["inner"].strip(), units[found["unit"]], name)


def _column(batch: Batch, name: str) -> pa.Array:
    try:
        return batch.column(name)
    except KeyError as error:
        raise PermanentError(f"can't partition by {name!r}: {error.args[0]}") from None


def _floor(values: pa.Array, column: str, unit: Granularity) -> pa.Array:
    """Return the number of units since 1970; a time without zone counts as UTC."""
    if not (pa.types.is_timestamp(values.type) or pa.types.is_date(values.type)):
        raise PermanentError(
            f"can't partition by {unit.name.lower()}({column}): its type is {values.type}, and "
            "only a timestamp or a date has such a part"
        )
    naive = values.cast(pa.timestamp("us", getattr(values.type, "tz", None))).cast(pa.int64())
    times = naive.fill_null(0).to_numpy().view("datetime64[us]")
    floored = times.astype(f"datetime64[{unit.value}]").view(np.int64)
    return pa.array(floored, mask=values.is_null().to_numpy(zero_copy_only=False))


def _value_texts(values: pa.Array, column: str) -> list[str | None]:
    """Return values as texts that hold them exactly."""
    kind = values.type
    exact = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view,
             pa.types.is_integer, pa.types.is_boolean, pa.types.is_date32)  # fmt: skip
    if not any(test(kind) for test in exact):
        raise PermanentError(
            f"can't partition by {column!r}: a folder name can't hold a {kind} exactly. Partition "
            f"by a text, integer, boolean or date; of a time by date({column}) or hour({column})"
        )
    return pc.cast(values, pa.string()).to_pylist()


def _check_names(rows: Batch, levels: Sequence[Partition]) -> None:
    clashes = {level.name for level in levels} & set(rows.schema.names)
    if clashes:
        raise PermanentError(
            f"folders can't be named {sorted(clashes)}: the files have columns of that name, and "
            "readers would see only one of the two. Give the folder a name of its own, as in "
            "event_hour=hour(event_time)"
        )
