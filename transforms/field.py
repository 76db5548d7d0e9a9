"""Where a value is found in a batch: a column, an attribute, or a part of the message.

Event time, de-duplication keys and partitions are all named this way, in code and on the
command line: ``time_hour``, ``attribute:event_id``, ``message:publish_time``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import pyarrow as pa
import pyarrow.compute as pc

from transforms.batch import Batch
from transforms.errors import ConfigError
from transforms.message import ATTRIBUTES, MESSAGE_SCHEMA, message_column

__all__ = ["Field", "Source", "attribute", "column", "message"]


class Source(Enum):
    """The part of a batch that a field is taken from."""

    COLUMN = "column"
    ATTRIBUTE = "attribute"
    MESSAGE = "message"


@dataclass(frozen=True)
class Field:
    """A value of each row: ``source`` says where, ``name`` which."""

    source: Source
    name: str

    @classmethod
    def parse(cls, text: str) -> Field:
        """Read ``NAME``, ``column:NAME``, ``attribute:NAME`` or ``message:NAME``.

        Raises:
            ConfigError: the text is empty, or there is no such source or message field.
        """
        prefix, colon, rest = text.partition(":")
        if not colon:
            prefix, rest = Source.COLUMN.value, text
        sources = {source.value: source for source in Source}
        if prefix not in sources or not rest:
            raise ConfigError(
                "field", text, "must be NAME, column:NAME, attribute:NAME or message:NAME",
                "Write for example time_hour, attribute:event_id or message:publish_time",
            )  # fmt: skip
        if sources[prefix] is Source.MESSAGE and rest not in MESSAGE_SCHEMA.names:
            raise ConfigError(
                "field", text, "is no part of a Pub/Sub message",
                f"Use one of {', '.join(MESSAGE_SCHEMA.names)}",
            )  # fmt: skip
        return cls(sources[prefix], rest)

    def of(self, batch: Batch) -> pa.Array:
        """Return the values, one per row; null where a message lacks the attribute.

        Raises:
            KeyError: the batch has no such column, or holds no messages any more.
        """
        if self.source is Source.COLUMN:
            return batch.column(self.name)
        if self.source is Source.MESSAGE:
            return message_column(batch, self.name)
        return pc.map_lookup(message_column(batch, ATTRIBUTES), self.name, "first")

    def __str__(self) -> str:
        return f"{self.source.value}:{self.name}"

    @property
    def short(self) -> str:
        """The text as it is mostly typed, a column without its source; ``parse`` reads it."""
        plain = self.source is Source.COLUMN and ":" not in self.name
        return self.name if plain else str(self)


def column(name: str) -> Field:
    """Return the field of a typed column."""
    return Field(Source.COLUMN, name)


def attribute(name: str) -> Field:
    """Return the field of a message attribute, a string."""
    return Field(Source.ATTRIBUTE, name)


def message(name: str) -> Field:
    """Return the field of a message part, such as ``message_id`` or ``publish_time``."""
    return Field(Source.MESSAGE, name)
