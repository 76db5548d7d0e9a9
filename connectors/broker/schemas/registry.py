"""Schemas and their revisions, kept as documents of the broker's state."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator

import msgspec

from connectors.broker.engine import Engine
from connectors.broker.errors import AlreadyExists, NotFound
from connectors.broker.events import DocumentStored
from connectors.broker.schemas.avro import Avro
from connectors.broker.schemas.definition import Definition
from connectors.broker.schemas.proto import Proto

__all__ = ["AVRO", "DELETED_SCHEMA", "PROTOCOL_BUFFER", "Body", "Registry", "Revision", "Schema"]

AVRO, PROTOCOL_BUFFER = "AVRO", "PROTOCOL_BUFFER"
"""The types of schemas, as the API names them."""
DELETED_SCHEMA = "_deleted-schema_"
"""What a topic shows as its schema once that was deleted."""

_KIND = "schema"


class Body(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a revision says; of protocol buffers always compiled."""

    definition: str = ""
    """Its text; empty if it was given compiled."""
    files: bytes = b""
    """Of protocol buffers, a serialized ``FileDescriptorSet``."""
    root: str = ""
    """Of protocol buffers, the full name of the type of the messages."""


class Revision(msgspec.Struct, frozen=True, omit_defaults=True):
    """A revision; one that was deleted keeps its place, for ranges may begin or end at it."""

    revision_id: str
    time_us: int
    body: Body | None


class Schema(msgspec.Struct, frozen=True):
    """A schema: at least one revision that is not deleted, the oldest first."""

    name: str
    type: str
    revisions: tuple[Revision, ...]

    @property
    def live(self) -> list[Revision]:
        """The revisions that are not deleted, the oldest first."""
        return [each for each in self.revisions if each.body is not None]

    def revision(self, revision_id: str) -> Revision:
        """Return a revision that is not deleted.

        Raises:
            NotFound: there is none of that id.
        """
        for each in self.live:
            if each.revision_id == revision_id:
                return each
        raise NotFound(f"Schema {self.name} has no revision {revision_id!r}.")

    def between(self, first: str, last: str) -> list[Revision]:
        """Return the revisions of a range, the newest first.

        Args:
            first: id of its oldest revision, empty for an open end.
            last: id of its newest revision, empty for an open end.

        Raises:
            NotFound: there never was such a revision.
        """
        ids = [each.revision_id for each in self.revisions]
        for each in filter(None, (first, last)):
            if each not in ids:
                raise NotFound(f"Schema {self.name} has no revision {each!r}.")
        start = ids.index(first) if first else 0
        stop = ids.index(last) + 1 if last else len(ids)
        return [each for each in reversed(self.revisions[start:stop]) if each.body is not None]

    def with_revision(self, body: Body) -> Schema:
        """Return the schema with a new revision behind the others."""
        new = Revision(secrets.token_hex(4), time.time_ns() // 1_000, body)
        return msgspec.structs.replace(self, revisions=(*self.revisions, new))

    def without_revision(self, revision_id: str) -> Schema:
        """Return the schema with a revision deleted."""
        revisions = tuple(
            msgspec.structs.replace(each, body=None) if each.revision_id == revision_id else each
            for each in self.revisions
        )
        return msgspec.structs.replace(self, revisions=revisions)


class Registry:
    """The schemas of a broker."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._definitions: dict[tuple[str, str], Definition] = {}

    def find(self, name: str) -> Schema | None:
        """Return a schema, None if there is none of that name."""
        stored = self._engine.state.documents.get((_KIND, name))
        return None if stored is None else msgspec.json.decode(stored, type=Schema)

    def get(self, name: str) -> Schema:
        """Return a schema.

        Raises:
            NotFound: there is none.
        """
        schema = self.find(name)
        if schema is None:
            raise NotFound(f"Schema {name} does not exist; create it first.")
        return schema

    def check_is_new(self, name: str) -> None:
        """Refuse the name of an existing schema.

        Raises:
            AlreadyExists: it is taken.
        """
        if self.find(name) is not None:
            raise AlreadyExists(f"Schema {name} exists already.")

    def names(self) -> Iterator[str]:
        """Yield the names of all schemas."""
        return (name for kind, name in self._engine.state.documents if kind == _KIND)

    async def put(self, schema: Schema) -> None:
        """Store a schema, new or changed, durably."""
        value = msgspec.json.encode(schema)
        await self._engine.commit(DocumentStored(_KIND, schema.name, value))

    async def remove(self, name: str) -> None:
        """Forget a schema and all that is known about it, durably."""
        kinds = [kind for kind, each in self._engine.state.documents if each == name]
        await self._engine.commit_all([(DocumentStored(kind, name, None), b"") for kind in kinds])
        for key in [key for key in self._definitions if key[0] == name]:
            del self._definitions[key]

    def definition(self, schema: Schema, revision: Revision) -> Definition:
        """Return what messages are checked against; it is parsed once."""
        key = schema.name, revision.revision_id
        if key not in self._definitions:
            assert revision.body is not None  # noqa: S101 - for the type checker: it is a live one
            self._definitions[key] = parsed(schema.type, revision.body)
        return self._definitions[key]


def parsed(type_: str, body: Body) -> Definition:
    """Return what messages are checked against.

    Args:
        type_: ``AVRO`` or ``PROTOCOL_BUFFER``.
        body: of the revision.

    Raises:
        Mismatch: it is no such definition.
    """
    return Avro(body.definition) if type_ == AVRO else Proto(body.files, body.root)
