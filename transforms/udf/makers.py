"""The makers of batches: typed rows, and messages of dictionaries, of texts or of JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from transforms import kinds
from transforms.batch import Batch
from transforms.fitting import columns_of, fit
from transforms.message import ATTRIBUTES, DATA, MESSAGE_SCHEMA
from transforms.udf.dictionaries import values_of
from transforms.udf.making import Made, Make, taken
from transforms.udf.results import messages_of
from transforms.udf.sorting import Lot

__all__ = ["json_of", "messages_at", "of_json", "of_messages", "of_text", "of_typed"]

Errors = dict[int, tuple[str, str]]
Pairs = list[tuple[str, str]]
Changed = tuple[Sequence[bytes | None], Sequence[Pairs | None], Errors]
_NAMES = set(MESSAGE_SCHEMA.names)
_READ_ONLY = [name for name in MESSAGE_SCHEMA.names if name not in (DATA, ATTRIBUTES)]


class _MisfitError(Exception):
    """A row that is none; the text says why."""


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"a {type(value).__name__} can't be written as JSON")


json_of = msgspec.json.Encoder(enc_hook=_plain, decimal_format="string").encode


def of_typed(schema: pa.Schema) -> Make:
    """Return the maker of rows with a schema: an absent column is null, one too many an error."""
    names = set(schema.names)

    def make(lot: Lot, batch: Batch) -> Made:
        del batch
        made, misfits = fit(lot.values, schema)
        errors = {at: (kinds.UDF_RESULT, text) for at, (_, text) in misfits.items()}
        if set(chain.from_iterable(lot.values)) <= names:
            return made, errors
        fitting = np.delete(np.arange(len(lot.values)), list(errors))
        extra = [bool(lot.values[at].keys() - names) for at in fitting]
        for at in fitting[extra].tolist():
            shown = ", ".join(sorted(map(str, lot.values[at].keys() - names)))
            errors[at] = (kinds.UDF_RESULT, f"The schema has no column for: {shown}")
        return made.filter(pa.array(np.logical_not(extra))), errors

    return make


def of_text(lot: Lot, batch: Batch) -> Made:
    """Make messages whose payloads are texts or bytes; all else of them stays."""
    return _with_payloads(lot, batch, _bytes)


def of_json(lot: Lot, batch: Batch) -> Made:
    """Make messages whose payloads are rows as JSON: times as in RFC 3339, bytes in base64."""
    return _with_payloads(lot, batch, json_of)


def of_messages(lot: Lot, batch: Batch) -> Made:
    """Make messages of dictionaries; what one lacks stays as it was."""
    given = messages_at(batch, np.asarray(lot.origin, np.int64))
    columns = [values_of(given.column(name)) for name in MESSAGE_SCHEMA.names]
    payloads, attributes, errors = _whole(lot.values, columns) or _each(lot.values, columns)
    made = _without(given, errors).with_column(DATA, pa.array(payloads, pa.binary()))
    to = MESSAGE_SCHEMA.field(ATTRIBUTES).type
    return made.with_column(ATTRIBUTES, pa.array(attributes, to)), errors


def _whole(rows: Sequence[dict[str, Any]], came: Sequence[list[Any]]) -> Changed | None:
    """Return payloads and attributes where all rows are as most are: three times as fast."""
    try:
        payloads, attributes, *rest = columns_of(rows, MESSAGE_SCHEMA.names)
        pairs = list(map(list, map(dict.items, attributes)))
        is_whole = (
            set(map(len, rows)) == {len(MESSAGE_SCHEMA.names)}
            and set(map(type, payloads)) == {bytes}
            and set(map(type, chain.from_iterable(chain.from_iterable(pairs)))) <= {str}
            and list(map(list, rest)) == came[2:]
        )
        "".join(chain.from_iterable(chain.from_iterable(pairs))).encode()  # all are whole text
    except Exception:  # noqa: BLE001 - a value may be any object
        return None
    return (payloads, pairs, {}) if is_whole else None


def _each(rows: Sequence[dict[str, Any]], columns: Sequence[list[Any]]) -> Changed:
    payloads: list[bytes | None] = []
    attributes: list[Pairs | None] = []
    errors: Errors = {}
    for at, (row, came) in enumerate(zip(rows, zip(*columns, strict=True), strict=True)):
        try:
            payload, pairs = _changed(row, came)
        except _MisfitError as misfit:  # noqa: PERF203 - each on its own
            errors[at] = (kinds.UDF_RESULT, str(misfit))
        else:
            payloads.append(payload)
            attributes.append(pairs)
    return payloads, attributes, errors


def messages_at(batch: Batch, origin: npt.NDArray[np.int64]) -> Batch:
    """Return the messages of some rows: themselves if they are messages, else those they carry."""
    if not set(batch.schema.names).issuperset(MESSAGE_SCHEMA.names):
        came = messages_of(batch)
        if came is None:
            return Batch(pa.RecordBatch.from_pylist([{}] * len(origin), schema=MESSAGE_SCHEMA))
        batch = Batch(pa.RecordBatch.from_struct_array(came))
    return taken(batch.select(MESSAGE_SCHEMA.names), origin)


def _with_payloads(lot: Lot, batch: Batch, encode: Callable[[Any], bytes]) -> Made:
    payloads: list[bytes] = []
    errors: Errors = {}
    for at, value in enumerate(lot.values):
        try:
            payloads.append(encode(value))
        except Exception as error:  # noqa: BLE001, PERF203 - a value may be any object
            errors[at] = (kinds.UDF_RESULT, f"What the function returned is no payload: {error}")
    given = messages_at(batch, np.asarray(lot.origin, np.int64))
    return _without(given, errors).with_column(DATA, pa.array(payloads, pa.binary())), errors


def _without(given: Batch, errors: Errors) -> Batch:
    if not errors:
        return given
    return given.take(pa.array(np.delete(np.arange(len(given)), list(errors))))


def _bytes(value: str | bytes) -> bytes:
    return value.encode() if isinstance(value, str) else value


def _changed(row: dict[str, Any], came: Sequence[Any]) -> tuple[bytes | None, Pairs | None]:
    """Return the payload and the attributes of a message that may have been changed.

    Raises:
        _MisfitError: another part was changed, or one of these is no payload or no attributes.
    """
    if not row.keys() <= _NAMES:
        extra = ", ".join(sorted(map(str, row.keys() - _NAMES)))
        raise _MisfitError(f"A message has no {extra}; for typed rows, declare their schema")
    for name, before in zip(_READ_ONLY, came[2:], strict=True):
        if not _is_same(row.get(name, before), before):
            raise _MisfitError(f"{name} can't be changed")
    return _payload(row.get(DATA, came[0])), _pairs(row.get(ATTRIBUTES, came[1]))


def _is_same(value: Any, before: Any) -> bool:
    try:
        return bool(value == before)
    except Exception:  # noqa: BLE001 - a value may be any object
        return False


def _payload(value: Any) -> bytes | None:
    try:
        value = value.encode() if isinstance(value, str) else value
    except UnicodeEncodeError as error:
        raise _MisfitError(f"data is no text: {error}") from error
    if value is None or isinstance(value, bytes):
        return value
    raise _MisfitError(f"data must be str or bytes, not {type(value).__name__}")


def _pairs(attributes: Any) -> Pairs | None:
    if attributes is None:
        return None
    if not isinstance(attributes, dict):
        raise _MisfitError(f"attributes must be a dict, not {type(attributes).__name__}")
    pairs = list(attributes.items())
    if not set(map(type, chain.from_iterable(pairs))) <= {str}:
        raise _MisfitError("attributes must be a dict of str to str")
    try:
        "".join(chain.from_iterable(pairs)).encode()
    except UnicodeEncodeError as error:
        raise _MisfitError(f"attributes are no text: {error}") from error
    return pairs
