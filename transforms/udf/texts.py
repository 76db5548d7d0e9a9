"""The text form: a function that is given the payload of a message, before it is parsed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from transforms import kinds
from transforms.batch import Batch
from transforms.message import DATA
from transforms.udf import makers
from transforms.udf.calls import Calls, Failed, call_each
from transforms.udf.compiled import Compiled
from transforms.udf.dictionaries import message_dictionaries
from transforms.udf.limit import Watch
from transforms.udf.making import result_of
from transforms.udf.results import Plan, Result
from transforms.udf.sorting import collected, sort

__all__ = ["KINDS", "NO_TEXT", "TextFunction", "texts"]

KINDS = (str, bytes)
NO_TEXT = Failed(kinds.INVALID_UTF8, "The payload is not valid UTF-8")


class TextFunction:
    """A function of a payload, and of the whole message if it has a second parameter."""

    def __init__(self, compiled: Compiled, plan: Plan, watch: Watch) -> None:
        self._compiled, self._plan, self._watch = compiled, plan, watch
        self._call = collected(compiled.call, KINDS)

    def apply(self, batch: Batch) -> Result:
        """Call the function for each payload."""
        if not len(batch):
            return Result()
        valid, payloads = self._payloads(batch)
        rest = batch if len(valid) == len(batch) else batch.take(pa.array(valid))
        arguments: list[Sequence[Any]] = [payloads]
        if self._compiled.signature.takes_message:
            arguments.append(message_dictionaries(rest))
        results: list[Any] = [NO_TEXT] * len(batch)
        calls = Calls(
            self._call,
            arguments,
            lambda index: self._again(payloads[index], rest.slice(index, 1)),
            self._compiled.path,
        )
        for index, result in zip(valid, call_each(calls, self._watch), strict=True):
            results[index] = result
        found = sort(results, KINDS, self._plan.outputs)
        return result_of(batch, found, self._plan, makers.of_text, makers.of_text)

    def close(self) -> None:
        """Forget the module."""
        self._compiled.close()

    def _payloads(self, batch: Batch) -> tuple[Sequence[int], Sequence[str | bytes]]:
        if self._compiled.signature.takes_bytes:
            column = batch.column(DATA)
            return range(len(batch)), column.fill_null(b"").to_pylist()
        return texts(batch)

    def _again(self, payload: str | bytes, row: Batch) -> list[Any]:
        if not self._compiled.signature.takes_message:
            return [payload]
        return [payload, message_dictionaries(row)[0]]


def texts(batch: Batch) -> tuple[Sequence[int], list[str]]:
    """Return the payloads of messages as text, and which of them are UTF-8."""
    payloads = batch.column(DATA).fill_null(b"")
    try:
        return range(len(batch)), payloads.cast(pa.string()).to_pylist()
    except pa.ArrowInvalid:
        found = {
            index: text
            for index, each in enumerate(payloads.to_pylist())
            if (text := _text(each)) is not None
        }
        return list(found), list(found.values())


def _text(payload: bytes) -> str | None:
    try:
        return payload.decode()
    except UnicodeDecodeError:
        return None
