"""The row form: a function that is given a row as a dictionary."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from transforms.batch import Batch
from transforms.message import MESSAGE_SCHEMA
from transforms.udf import makers
from transforms.udf.calls import Calls, call_each
from transforms.udf.compiled import Compiled
from transforms.udf.dictionaries import dictionaries, message_dictionaries
from transforms.udf.limit import Watch
from transforms.udf.making import result_of
from transforms.udf.results import RESERVED, Plan, Result
from transforms.udf.sorting import collected, sort

__all__ = ["RowFunction"]

KINDS = (dict,)


class RowFunction:
    """A function of a row, and of its message if it has a second parameter.

    It may change the dictionary: no other row and no dead letter sees it.
    """

    def __init__(self, compiled: Compiled, plan: Plan, watch: Watch) -> None:
        self._compiled, self._plan, self._watch = compiled, plan, watch
        self._call = collected(compiled.call, KINDS)

    def apply(self, batch: Batch) -> Result:
        """Call the function for each row."""
        if not len(batch):
            return Result()
        calls = Calls(
            self._call,
            self._arguments(batch),
            lambda index: [each[0] for each in self._arguments(batch.slice(index, 1))],
            self._compiled.path,
        )
        results = call_each(calls, self._watch)
        found = sort(results, KINDS, self._plan.outputs)
        if self._plan.gives_messages:
            return result_of(batch, found, self._plan, makers.of_messages, makers.of_messages)
        make = makers.of_typed(self._plan.schema_for(batch))
        return result_of(batch, found, self._plan, make, makers.of_json)

    def close(self) -> None:
        """Forget the module."""
        self._compiled.close()

    def _arguments(self, batch: Batch) -> list[Sequence[Any]]:
        if self._plan.typed:
            names = [name for name in batch.schema.names if name not in RESERVED]
        else:
            names = MESSAGE_SCHEMA.names
        arguments: list[Sequence[Any]] = [
            dictionaries([batch.column(name) for name in names], names)
        ]
        if self._compiled.signature.takes_message:
            arguments.append(message_dictionaries(batch))
        return arguments
