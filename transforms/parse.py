"""Parse message payloads, JSON objects, to typed columns.

Each payload is decoded on its own, so that a bad one can't harm or shift its neighbours, as it can
where payloads are joined by newlines. One bad payload in a thousand makes nearly every batch of
4,096 rows dirty: the way of a bad row is as fast as that of a good one, but for its error text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import apache_beam as beam
import msgspec
import numpy as np
import pyarrow as pa

from transforms import kinds, metrics
from transforms.batch import Batch
from transforms.columns import Fields
from transforms.errors import ConfigError
from transforms.failure import failures
from transforms.message import DATA, MESSAGE, attach_message

__all__ = ["Decoder", "Parse", "Parsed"]

Errors = dict[int, tuple[str, str]]

# The way msgspec words what is wrong, and what we call it; the first that fits.
KINDS_BY_WORDING = (
    (re.compile(r"Object missing required field"), kinds.MISSING_FIELD),
    (re.compile(r"Expected .*, got `null` - at"), kinds.MISSING_FIELD),
    (re.compile(r"Expected `\w+` [<>]=|.* out of range"), kinds.OUT_OF_RANGE),
    (re.compile(r"Invalid "), kinds.INVALID_VALUE),
)
FAILURES = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
UTF8_BLOCK_ROWS = 64
DENSE_SHARE = 64


class Decoder:
    """Decodes batches of messages to one schema: pure, and compiled once.

    What is accepted:

    - A payload is one JSON object in UTF-8. Fields that the schema lacks are ignored, a nullable
      field may be absent or null, a list that isn't nullable is then empty. If a key is repeated,
      the last one wins, but each of its values must be valid.
    - No type is made of another: an integer is not ``"12"``, ``12.0`` or ``true``. A float may be
      written as an integer; a decimal as a number or as text, with no digit lost.
    - Timestamps are text: a date, then optionally ``T`` or a space and a time, then optionally
      ``Z`` or an offset. Without a zone they are taken as UTC, as BigQuery does. Digits beyond the
      column's unit are cut off. Numbers are refused: their unit would be a guess.
    - Bytes are base64; a field that ``schema.holds_json`` keeps its JSON text as it came.
    """

    def __init__(self, schema: pa.Schema, step: str = "Parse") -> None:
        """Compile.

        Args:
            schema: the columns to make; none may have the reserved name.
            step: the name that dead letters carry.

        Raises:
            ConfigError: a column has the reserved name, or a type that JSON can't become.
        """
        if MESSAGE in schema.names:
            raise ConfigError(
                f"schema.{MESSAGE}", MESSAGE, "is reserved for the message that a row came from",
                "Rename the column",
            )  # fmt: skip
        self.schema = schema
        self.step = step
        self._fields = Fields(schema, "schema")
        self._decode = msgspec.json.Decoder(self._fields.row).decode

    def decode(self, messages: Batch) -> tuple[Batch, Batch | None]:
        """Return the typed rows with their messages, and the dead letters of the others, if any.

        Each message is in exactly one of the two, and both keep the order.
        """
        payloads = messages.column(DATA)
        rows, errors = self._rows(payloads.fill_null(b"") if payloads.null_count else payloads)
        arrays, faults = self._fields.build(rows)
        typed = pa.RecordBatch.from_arrays(arrays, schema=self.schema)
        if faults:
            origin = np.delete(np.arange(len(messages)), list(errors))
            for position, path, kind, reason in faults:
                errors.setdefault(int(origin[position]), (kind, f"{reason} - at `${path}`"))
            typed = _without(typed, sorted({fault.position for fault in faults}))
        if not errors:
            return attach_message(typed, messages), None
        bad = sorted(errors)
        good = Batch(_without(messages.rows, bad))
        dead = failures(messages.take(pa.array(bad)), self.step, [errors[row] for row in bad])
        return attach_message(typed, good), dead

    def _rows(self, payloads: pa.Array) -> tuple[list[Any], Errors]:
        """Decode the payloads; the errors are by row, and their rows are left out."""
        invalid = _invalid_utf8(payloads, 0)
        documents = payloads.to_pylist()
        for row in invalid:
            documents[row] = b""
        rows, errors = _decode_each(self._decode, documents)
        reason = (kinds.INVALID_UTF8, "The payload is not valid UTF-8")
        return rows, errors | dict.fromkeys(invalid, reason)


def _decode_each(
    decode: Callable[[bytes], Any], documents: Sequence[bytes]
) -> tuple[list[Any], Errors]:
    """Decode all documents; go on behind each that fails, at no cost for those that don't.

    ``extend`` keeps what it has got when its iterator raises, and the iterator has then moved past
    the document that failed: its index is the number of rows and errors so far.
    """
    rows: list[Any] = []
    errors: Errors = {}
    remaining = iter(documents)
    while True:
        try:
            rows.extend(map(decode, remaining))
        except FAILURES as error:  # noqa: PERF203 - entered once per failure, not per row
            index = len(rows) + len(errors)
            errors[index] = _explain(error, documents[index])
        else:
            return rows, errors


def _explain(error: Exception, document: bytes) -> tuple[str, str]:
    text = str(error)
    if isinstance(error, RecursionError):
        return kinds.TOO_DEEP, "The payload nests arrays or objects too deep"
    if not document.strip():
        return kinds.MALFORMED_JSON, "The payload is empty"
    if not isinstance(error, msgspec.ValidationError):
        return kinds.MALFORMED_JSON, text
    found = (kind for wording, kind in KINDS_BY_WORDING if wording.match(text))
    return next(found, kinds.WRONG_TYPE), text


def _invalid_utf8(payloads: pa.Array, first: int) -> list[int]:
    """Return the rows that are not UTF-8. msgspec alone wouldn't look at fields that it skips."""
    try:
        payloads.cast(pa.string())
    except pa.ArrowInvalid:
        pass
    else:
        return []
    if len(payloads) <= UTF8_BLOCK_ROWS:
        documents = enumerate(payloads.to_pylist(), first)
        return [row for row, document in documents if not _is_utf8(document)]
    half = len(payloads) // 2
    left, right = payloads.slice(0, half), payloads.slice(half)
    return _invalid_utf8(left, first) + _invalid_utf8(right, first + half)


def _is_utf8(document: bytes) -> bool:
    try:
        document.decode()
    except UnicodeDecodeError:
        return False
    return True


def _without(rows: pa.RecordBatch, gone: Sequence[int]) -> pa.RecordBatch:
    """Return the rows but for a few; joining slices is four times as fast as a filter then."""
    if len(gone) * DENSE_SHARE > len(rows):
        keep = np.ones(len(rows), np.bool_)
        keep[list(gone)] = False
        return rows.filter(pa.array(keep))
    starts, ends = [0, *(row + 1 for row in gone)], [*gone, len(rows)]
    return pa.concat_batches(
        [rows.slice(start, end - start) for start, end in zip(starts, ends, strict=True)]
    )


class Parsed(NamedTuple):
    """What ``Parse`` gives: typed rows, and the failures of the others."""

    ok: beam.PCollection[Batch]
    dead: beam.PCollection[Batch]


class Parse(beam.PTransform):
    """Turn messages into typed rows that still carry their message.

    Guarantees: every message is in exactly one output; both keep the order within a batch. No
    state, no dependence on time, same output for same input.
    """

    def __init__(self, schema: pa.Schema, step: str = "Parse") -> None:
        """Check the schema.

        Args:
            schema: see ``Decoder``; ``schema.from_bigquery`` makes one.
            step: the name of this step in dead letters.

        Raises:
            ConfigError: a column can't be parsed from JSON.
        """
        super().__init__()
        Decoder(schema)
        self._schema = schema
        self._step = step

    def expand(self, messages: beam.PCollection[Batch]) -> Parsed:
        """Wire the decoder."""
        outputs = messages | beam.ParDo(_Decode(self._schema, self._step)).with_output_types(
            Batch, dead=Batch
        ).with_outputs("dead", main="ok")
        return Parsed(outputs.ok, outputs.dead)


class _Decode(beam.DoFn):
    def __init__(self, schema: pa.Schema, step: str) -> None:
        self._schema = schema
        self._step = step

    def setup(self) -> None:
        self._decoder = Decoder(self._schema, self._step)

    def process(self, messages: Batch) -> Iterator[Batch | beam.pvalue.TaggedOutput]:
        ok, dead = self._decoder.decode(messages)
        metrics.ROWS_PARSED.inc(len(ok))
        if len(ok):
            yield ok
        if dead is not None:
            metrics.DEAD_LETTERS.inc(len(dead))
            yield beam.pvalue.TaggedOutput("dead", dead)
