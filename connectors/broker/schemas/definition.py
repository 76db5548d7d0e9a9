"""What Avro and protocol buffer schemas have in common."""

from __future__ import annotations

from typing import Protocol

__all__ = ["BINARY", "DEPTH_MAX", "JSON", "Definition", "Mismatch"]

JSON, BINARY = "JSON", "BINARY"
"""The encodings of messages, as the API names them."""

DEPTH_MAX = 100
"""Levels that a message may be nested; protocol buffers have the same bound."""


class Mismatch(Exception):  # noqa: N818 - says what it is
    """Data that is not of the schema, or a revision that does not follow its predecessor."""


class Definition(Protocol):
    """A schema that messages can be checked against."""

    @property
    def kind(self) -> str:
        """``AVRO`` or ``PROTO``, as the reasons of refusals name it."""
        ...

    def check(self, encoding: str, data: bytes) -> None:
        """Refuse data that is not of this schema.

        Args:
            encoding: ``JSON`` or ``BINARY``.
            data: of one message.

        Raises:
            Mismatch: naming the field and what is wrong.
        """
        ...

    def check_follows(self, earlier: Definition) -> None:
        """Refuse to be the next revision of a schema.

        Raises:
            Mismatch: subscribers or publishers of the earlier one could not go on.
        """
        ...
