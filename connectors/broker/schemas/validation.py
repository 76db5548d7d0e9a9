"""What a publish to a topic with a schema goes through: every message is checked, or none passes.

A message must be of one of the revisions that the topic accepts; they are tried from the newest
to the oldest. Subscribers are told by attributes which one it was.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from connectors.broker import rows
from connectors.broker.errors import ErrorInfo, InvalidArgument, NotFound
from connectors.broker.schemas.definition import Definition, Mismatch
from connectors.broker.schemas.registry import Registry, Schema
from connectors.broker.settings import SchemaSettings

__all__ = ["InvalidMessage", "Validator", "check_message"]

_NAME, _REVISION, _ENCODING = (
    "googclient_schemaname", "googclient_schemarevisionid", "googclient_schemaencoding"
)  # fmt: skip


class InvalidMessage(InvalidArgument):
    """A message is of none of the revisions that its topic accepts."""


class Validator:
    """Checks messages against the schemas of a registry."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def check_settings(self, settings: SchemaSettings) -> None:
        """Refuse what a topic can't be given as its schema.

        Raises:
            NotFound: the schema, or a revision of it, does not exist.
            InvalidArgument: there is no encoding.
        """
        if not settings.encoding:
            raise InvalidArgument("schema_settings.encoding", "none", "must be JSON or BINARY")
        schema = self._registry.get(settings.schema)
        schema.between(settings.first_revision_id, settings.last_revision_id)

    def validated(self, settings: SchemaSettings, messages: pa.StructArray) -> pa.StructArray:
        """Return messages with the attributes that name their schema.

        Args:
            settings: of the topic.
            messages: structs of a decoded Publish request.

        Raises:
            NotFound: the schema was deleted.
            InvalidMessage: a message is of none of the revisions; nothing may be published.
        """
        schema = self._registry.find(settings.schema)
        if schema is None:
            raise NotFound(
                f"Schema {settings.schema} was deleted: the topic accepts nothing until its"
                " schema_settings are changed."
            )
        accepted = {
            each.revision_id: self._registry.definition(schema, each)
            for each in schema.between(settings.first_revision_id, settings.last_revision_id)
        }
        data = messages.flatten()[0]
        found = [
            _matching(schema, accepted, settings.encoding, each.as_buffer().to_pybytes())
            for each in data
        ]
        return _labelled(messages, schema.name, found, settings.encoding)


def check_message(definition: Definition, encoding: str, data: bytes) -> None:
    """Refuse a message that is not of a definition.

    Raises:
        InvalidMessage: saying what is wrong.
    """
    why = _mismatch(definition, encoding, data)
    if why is not None:
        raise _invalid(definition, encoding, data, why)


def _matching(schema: Schema, accepted: dict[str, Definition], encoding: str, data: bytes) -> str:
    """Return the id of the first revision that a message is of."""
    refusal: InvalidMessage | None = None
    for revision_id, definition in accepted.items():
        why = _mismatch(definition, encoding, data)
        if why is None:
            return revision_id
        refusal = _invalid(
            definition, encoding, data, why,
            revisionInfo="Could not validate message with any schema revision for schema:"
            f" {schema.name}, last checked revision: revision_id={revision_id} failed with status:"
            f" {why}.",
        )  # fmt: skip
    if refusal is None:
        raise NotFound(f"All revisions of {schema.name} that the topic accepts were deleted.")
    raise refusal


def _mismatch(definition: Definition, encoding: str, data: bytes) -> str | None:
    try:
        definition.check(encoding, data)
    except Mismatch as mismatch:
        return str(mismatch)
    return None


def _invalid(
    definition: Definition, encoding: str, data: bytes, why: str, **facts: str
) -> InvalidMessage:
    refusal = InvalidMessage("message", f"{len(data)} bytes", f"failed schema validation: {why}")
    refusal.info = ErrorInfo(
        f"INVALID_{encoding}_{definition.kind}_MESSAGE",
        {"message": "Message failed schema validation", **facts},
    )
    return refusal


def _labelled(
    messages: pa.StructArray, name: str, revision_ids: list[str], encoding: str
) -> pa.StructArray:
    """Return messages with three attributes more."""
    data, attributes, message_id, publish_time, ordering_key = messages.flatten()
    values = [text for each in revision_ids for text in (name, each, encoding)]
    keys = [_NAME, _REVISION, _ENCODING] * len(revision_ids)
    before = rows.offsets(attributes)
    after = before - before[0] + 3 * np.arange(before.size, dtype=np.int32)
    # Where each entry comes from: the old ones in order, and three new ones behind each message's.
    source = np.zeros(int(after[-1]), np.int64)
    new = (after[1:, None] - np.arange(3, 0, -1)).ravel()
    is_new = np.zeros(source.size, np.bool_)
    is_new[new] = True
    source[is_new] = len(attributes.keys) + np.arange(new.size)
    source[~is_new] = before[0] + np.arange(source.size - new.size)
    take = rows.numbers(source, pa.int64())
    columns = [
        pa.concat_arrays([old, rows.texts(more)]).take(take)
        for old, more in ((attributes.keys, keys), (attributes.items, values))
    ]
    labelled = pa.MapArray.from_arrays(rows.numbers(after, pa.int32()), *columns)
    return pa.StructArray.from_arrays(
        [data, labelled, message_id, publish_time, ordering_key],
        names=[field.name for field in messages.type],
    )
