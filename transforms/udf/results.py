"""What a step wants of a user's function, and what that has made of a batch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple, Protocol

import pyarrow as pa

from transforms.batch import Batch
from transforms.failure import failures
from transforms.message import MESSAGE, MESSAGE_SCHEMA, PART
from transforms.orphan import with_messages

__all__ = ["RESERVED", "Errors", "Function", "Plan", "Result", "dead_letters", "messages_of"]

Errors = Mapping[int, tuple[str, str]]
"""Kind and reason by the index of the row."""

RESERVED = (MESSAGE, PART)


@dataclass(frozen=True)
class Plan:
    """What a step wants of its function."""

    step: str = "UserFunction"
    """Its name in dead letters."""
    typed: bool = False
    """Whether it is given typed rows, and not messages."""
    schema: pa.Schema | None = None
    """Of the rows that it returns, typed ones; by default it returns what it is given."""
    outputs: tuple[str, ...] = ()
    """Names that it may route rows to."""
    keep_message: bool = False
    """Whether messages that it changed carry the message as it came."""
    part: bool = False
    """Whether rows get the column ``PART``."""

    @property
    def gives_messages(self) -> bool:
        """Whether what comes out are messages."""
        return not self.typed and self.schema is None

    def schema_for(self, batch: Batch) -> pa.Schema:
        """Return the schema of the typed rows that come out when this batch goes in."""
        if self.schema is not None:
            return self.schema
        return pa.schema([field for field in batch.schema if field.name not in RESERVED])


class Result(NamedTuple):
    """Every row is in ok or in an output, or is dead, or was dropped: exactly one of them.

    It is in ok or an output as often as the function has given it.
    ``rows + made == rows of ok and outputs + dead + dropped``.
    """

    ok: Sequence[Batch] = ()
    dead: Batch | None = None
    outputs: Mapping[str, Sequence[Batch]] = MappingProxyType({})
    """Messages by the name of the output."""
    dropped: int = 0
    made: int = 0


class Function(Protocol):
    """A function that is ready to be applied, by one thread at a time."""

    def apply(self, batch: Batch) -> Result:
        """Apply it. Whatever it does, nothing but ``KeyboardInterrupt`` is raised."""

    def close(self) -> None:
        """Let go of what it holds."""


def messages_of(batch: Batch) -> pa.StructArray | None:
    """Return the messages that rows came from, as they came; None if the rows have lost them."""
    names = set(batch.schema.names)
    if MESSAGE in names:
        return batch.column(MESSAGE)
    if names.issuperset(MESSAGE_SCHEMA.names):
        return batch.select(MESSAGE_SCHEMA.names).rows.to_struct_array()
    return None


def dead_letters(batch: Batch, step: str, errors: Errors) -> Batch | None:
    """Return the failures of those rows that have an error."""
    if not errors:
        return None
    bad = sorted(errors)
    rejected = batch.take(pa.array(bad, pa.int64()))
    return failures(with_messages(rejected), step, [errors[index] for index in bad])
