"""From decoded JSON objects to Arrow columns: for each field, what to accept and how to build.

msgspec checks the JSON against Python types while it decodes; whatever those can't express, such
as the text of a timestamp, is checked on the whole column by ``literals``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Annotated, Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from transforms import kinds, literals
from transforms.errors import ConfigError
from transforms.schema import holds_json

__all__ = ["Column", "Fault", "Fields", "column_of"]

FLOAT32_MAX = float(np.finfo(np.float32).max)
SHOWN_CHARACTERS_MAX = 80


class Fault(NamedTuple):
    """A value that a column can't hold: the row, the path below the column, kind and reason."""

    position: int
    path: str
    kind: str
    reason: str


Built = tuple[pa.Array, list[Fault]]


class Column(NamedTuple):
    """A field, compiled: the type that msgspec accepts, the default, and the column's builder."""

    accepts: Any
    default: Any
    build: Callable[[list[Any]], Built]


def _integer(bits: int, *, signed: bool = True) -> Any:
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    return Annotated[int, msgspec.Meta(ge=low, le=high)]


# What JSON itself tells apart. There is no uint64: msgspec's bounds are int64.
PLAIN: dict[pa.DataType, Any] = {
    pa.bool_(): bool,
    **{pa.type_for_alias(f"int{bits}"): _integer(bits) for bits in (8, 16, 32, 64)},
    **{pa.type_for_alias(f"uint{bits}"): _integer(bits, signed=False) for bits in (8, 16, 32)},
    pa.float32(): Annotated[float, msgspec.Meta(ge=-FLOAT32_MAX, le=FLOAT32_MAX)],
    pa.float64(): float,
    pa.string(): str,
    pa.large_string(): str,
    pa.binary(): bytes,
    pa.large_binary(): bytes,
}
NULL = msgspec.Raw(b"null")


def column_of(field: pa.Field, place: str) -> Column:
    """Compile a field.

    Raises:
        ConfigError: no JSON value can become its type; ``place`` names the field.
    """
    if pa.types.is_struct(field.type):
        return _struct(field, place)
    if pa.types.is_list(field.type):
        return _list(field, place)
    if holds_json(field):
        return _json(field)
    if field.type in PLAIN:
        return _column(field, PLAIN[field.type], lambda values: (pa.array(values, field.type), []))
    convert = literals.converter(field.type)
    if convert is None:
        raise ConfigError(
            place, str(field.type), "is no type that a JSON value can be parsed to",
            "Use a type of BigQuery's schemas; a timestamp is in UTC or has no zone",
        )  # fmt: skip
    is_decimal = pa.types.is_decimal(field.type)
    return _decimal(field, convert) if is_decimal else _literal(field, convert)


class Fields:
    """The fields of an object: the struct that msgspec decodes, and the columns made of it."""

    def __init__(self, fields: Iterable[pa.Field], place: str) -> None:
        fields = list(fields)
        names = [field.name for field in fields]
        if len(set(names)) < len(names) or not names:
            raise ConfigError(
                place, ", ".join(names), "must have at least one field and no name twice",
                "Rename or add a field",
            )  # fmt: skip
        self._columns = [column_of(field, f"{place}.{field.name}") for field in fields]
        self._paths = [f".{name}" for name in names]
        # Columns may have names that are no names in Python.
        slots = [f"f{index}" for index in range(len(names))]
        self._getters = [_getter(slot) for slot in slots]
        self.row = msgspec.defstruct(
            "Row",
            [(slot, c.accepts, c.default) for slot, c in zip(slots, self._columns, strict=True)],
            rename=dict(zip(slots, names, strict=True)),
            kw_only=True,
            gc=False,
        )

    def build(self, rows: Sequence[Any]) -> tuple[list[pa.Array], list[Fault]]:
        """Return one array per field, and what in the rows they can't hold."""
        arrays, faults = [], []
        for path, get, column in zip(self._paths, self._getters, self._columns, strict=True):
            array, found = column.build(get(rows))
            arrays.append(array)
            faults += [fault._replace(path=path + fault.path) for fault in found]
        return arrays, faults


def _getter(slot: str) -> Callable[[Sequence[Any]], list[Any]]:
    # Code with the name in it takes half the time of an attrgetter: one tenth of all parsing.
    return eval(f"lambda rows: [row.{slot} for row in rows]", {})  # noqa: S307 - the name is ours


def _column(field: pa.Field, accepts: Any, build: Callable[[list[Any]], Built]) -> Column:
    if field.nullable:
        return Column(accepts | None, None, build)
    return Column(accepts, msgspec.NODEFAULT, build)


def _literal(field: pa.Field, convert: literals.Convert) -> Column:
    """Compile a field that JSON writes as text of a certain form."""
    rule = f"is no {literals.form(field.type)}"

    def build(values: list[Any]) -> Built:
        text = pa.array(values, pa.string())
        array = convert(text)
        return array, [
            Fault(position, "", kinds.INVALID_VALUE, f"{_shown(values[position])} {rule}")
            for position in _lost(text, array)
        ]

    return _column(field, str, build)


def _json(field: pa.Field) -> Column:
    """Compile a field that keeps its JSON text."""

    def build(values: list[Any]) -> Built:
        text = _json_texts(values)
        return text, [] if field.nullable else _nulls(text)

    return Column(msgspec.Raw, NULL if field.nullable else msgspec.NODEFAULT, build)


def _decimal(field: pa.Field, convert: literals.Convert) -> Column:
    """Compile a field that is made of the text of a number: a float would change its digits."""

    def build(values: list[Any]) -> Built:
        text = _json_texts(values)
        faults = [] if field.nullable else _nulls(text)
        numbers = convert(pc.ascii_trim(text, characters='"'))
        faults += [_no_decimal(at, text[at].as_py(), field.type) for at in _lost(text, numbers)]
        return numbers, faults

    return Column(msgspec.Raw, NULL if field.nullable else msgspec.NODEFAULT, build)


def _json_texts(values: list[Any]) -> pa.Array:
    text = pa.array(list(map(bytes, values)), pa.binary()).cast(pa.string())
    return pc.if_else(pc.equal(text, "null"), pa.scalar(None, pa.string()), text)


def _nulls(array: pa.Array) -> list[Fault]:
    return [
        Fault(int(position), "", kinds.MISSING_FIELD, "Expected a value, got `null`")
        for position in np.flatnonzero(array.is_null())
    ]


def _no_decimal(position: int, text: str, to: pa.DataType) -> Fault:
    if re.fullmatch(literals.DECIMAL, text.strip('"')):
        kind = kinds.OUT_OF_RANGE
    else:
        kind = kinds.INVALID_VALUE if text.startswith('"') else kinds.WRONG_TYPE
    return Fault(position, "", kind, f"{_shown(text)} is no {literals.form(to)}")


def _struct(field: pa.Field, place: str) -> Column:
    fields = Fields(field.type, place)

    def build(values: list[Any]) -> Built:
        present = [value for value in values if value is not None]
        arrays, faults = fields.build(present)
        if len(present) == len(values):
            return pa.StructArray.from_arrays(arrays, fields=list(field.type)), faults
        missing = np.fromiter((value is None for value in values), np.bool_, len(values))
        at = np.flatnonzero(~missing)
        arrays = [_spread(array, missing) for array in arrays]
        struct = pa.StructArray.from_arrays(arrays, fields=list(field.type), mask=pa.array(missing))
        return struct, [fault._replace(position=int(at[fault.position])) for fault in faults]

    return _column(field, fields.row, build)


def _spread(array: pa.Array, missing: np.ndarray[Any, Any]) -> pa.Array:
    """Put a filler where a row is missing: Parquet refuses nulls in a child that may have none."""
    indices = np.where(missing, len(array), np.cumsum(~missing) - 1)
    return pa.concat_arrays([array, _filler(array.type)]).take(pa.array(indices))


def _filler(to: pa.DataType) -> pa.Array:
    """Return one value of a type that isn't null: zero, empty, or a struct of such."""
    if pa.types.is_struct(to):
        return pa.StructArray.from_arrays([_filler(f.type) for f in to], fields=list(to))
    if pa.types.is_list(to):
        return pa.ListArray.from_arrays([0, 0], pa.array([], to.value_type), type=to)
    return pa.Array.from_buffers(to, 1, [None, *pa.nulls(1, to).buffers()[1:]])


def _list(field: pa.Field, place: str) -> Column:
    item = column_of(field.type.value_field, f"{place}[]")

    def build(values: list[Any]) -> Built:
        lengths = np.fromiter((len(value or ()) for value in values), np.int32, len(values))
        offsets = np.concatenate(([0], np.cumsum(lengths, dtype=np.int32))).astype(np.int32)
        items, faults = item.build(list(chain.from_iterable(filter(None, values))))
        absent = np.fromiter((value is None for value in values), np.bool_, len(values))
        mask = pa.array(absent) if field.nullable and absent.any() else None
        lists = pa.ListArray.from_arrays(pa.array(offsets), items, type=field.type, mask=mask)
        return lists, [_in_list(fault, offsets) for fault in faults]

    # BigQuery has no null array: absent and null are the empty one where null isn't allowed.
    return Column(list[item.accepts] | None, None, build)  # type: ignore[name-defined]


def _in_list(fault: Fault, offsets: np.ndarray[Any, Any]) -> Fault:
    row = int(np.searchsorted(offsets, fault.position, side="right")) - 1
    return fault._replace(position=row, path=f"[{fault.position - int(offsets[row])}]{fault.path}")


def _lost(before: pa.Array, after: pa.Array) -> list[int]:
    """Return the positions that became null."""
    if before.null_count == after.null_count:
        return []
    return np.flatnonzero(pc.and_(before.is_valid(), after.is_null())).tolist()


def _shown(text: str) -> str:
    return repr(text if len(text) <= SHOWN_CHARACTERS_MAX else text[:SHOWN_CHARACTERS_MAX] + "...")
