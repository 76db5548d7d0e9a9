"""SchemaService: the methods, from protocol buffer to protocol buffer."""

from __future__ import annotations

import asyncio
from typing import Any

from google.protobuf.empty_pb2 import Empty

from connectors.broker import limits, schema
from connectors.broker.engine import Engine
from connectors.broker.errors import Exhausted, FailedPrecondition, InvalidArgument
from connectors.broker.names import check_project, check_resource
from connectors.broker.pages import page
from connectors.broker.schemas import protoc
from connectors.broker.schemas.definition import BINARY, JSON, Definition, Mismatch
from connectors.broker.schemas.proto import only_message
from connectors.broker.schemas.registry import (
    AVRO,
    PROTOCOL_BUFFER,
    Body,
    Registry,
    Revision,
    Schema,
    parsed,
)
from connectors.broker.schemas.validation import check_message

__all__ = ["SchemaService"]

_TYPES = {1: PROTOCOL_BUFFER, 2: AVRO}
_ENCODINGS = {1: JSON, 2: BINARY}
_BASIC, _FULL = 1, 2


class SchemaService:
    """The methods; each takes the protocol buffer of its request and returns its response's."""

    def __init__(self, engine: Engine, registry: Registry) -> None:
        self._engine, self._registry = engine, registry
        # A schema is read before and stored after its check, so only one at a time may change.
        self._changing = asyncio.Lock()

    async def create_schema(self, request: Any) -> Any:
        """Create a schema with its first revision."""
        check_project("parent", request.parent)
        name = f"{request.parent}/schemas/{request.schema_id}"
        check_resource("schema_id", name, "schemas")
        type_, body = await _read(request.schema)
        _parsed(type_, body)
        async with self._changing:
            self._registry.check_is_new(name)
            new = Schema(name, type_, ()).with_revision(body)
            await self._registry.put(new)
        return _shown(new, new.live[-1], _FULL)

    async def get_schema(self, request: Any) -> Any:
        """Return a schema; ``name@revision`` names a revision, else it is the newest."""
        found, revision_id = self._named(request.name)
        revision = found.revision(revision_id) if revision_id else found.live[-1]
        return _shown(found, revision, request.view or _FULL)

    async def list_schemas(self, request: Any) -> Any:
        """List the schemas of a project by name, each by its newest revision."""
        check_project("parent", request.parent)
        inside = [n for n in self._registry.names() if n.startswith(request.parent + "/")]
        names, token = page(inside, request)
        found = [self._registry.get(name) for name in names]
        return schema.message("ListSchemasResponse")(
            schemas=[_shown(each, each.live[-1], request.view or _BASIC) for each in found],
            next_page_token=token,
        )

    async def list_schema_revisions(self, request: Any) -> Any:
        """List the revisions of a schema, the newest first."""
        found, _ = self._named(request.name)
        newest_first = {f"{number:06}": each for number, each in enumerate(reversed(found.live))}
        keys, token = page(list(newest_first), request)
        return schema.message("ListSchemaRevisionsResponse")(
            schemas=[_shown(found, newest_first[key], request.view or _BASIC) for key in keys],
            next_page_token=token,
        )

    async def commit_schema(self, request: Any) -> Any:
        """Add a revision, if data can go on between it and the one before."""
        if request.schema.name and request.schema.name != request.name:
            raise InvalidArgument("schema.name", request.schema.name, f"must be {request.name}")
        type_, body = await _read(request.schema)
        definition = _parsed(type_, body)
        async with self._changing:
            found, _ = self._named(request.name)
            if type_ != found.type:
                raise InvalidArgument("schema.type", type_, f"must stay {found.type}")
            try:
                definition.check_follows(self._registry.definition(found, found.live[-1]))
            except Mismatch as mismatch:
                raise InvalidArgument("schema.definition", "revision", f"{mismatch}") from None
            return await self._add(found, body)

    async def rollback_schema(self, request: Any) -> Any:
        """Add a revision that is a copy of an older one."""
        async with self._changing:
            found, _ = self._named(request.name)
            if not request.revision_id:
                raise InvalidArgument("revision_id", "none given", "names the revision to copy")
            body = found.revision(request.revision_id).body
            assert body is not None  # noqa: S101 - for the type checker: it is a live one
            return await self._add(found, body)

    async def delete_schema_revision(self, request: Any) -> Any:
        """Delete a revision, named as ``name@revision``; the last one can't be."""
        async with self._changing:
            found, revision_id = self._named(request.name)
            revision = found.revision(revision_id or request.revision_id)
            if len(found.live) == 1:
                raise FailedPrecondition(
                    f"{revision.revision_id} is the only revision of {found.name}: delete the"
                    " schema."
                )
            rest = found.without_revision(revision.revision_id)
            await self._registry.put(rest)
        return _shown(rest, rest.live[-1], _FULL)

    async def delete_schema(self, request: Any) -> Any:
        """Delete a schema; topics that have it accept nothing any more."""
        async with self._changing:
            found, _ = self._named(request.name)
            await self._registry.remove(found.name)
        return Empty()

    async def validate_schema(self, request: Any) -> Any:
        """Check a definition without storing it."""
        check_project("parent", request.parent)
        _parsed(*await _read(request.schema))
        return schema.message("ValidateSchemaResponse")()

    async def validate_message(self, request: Any) -> Any:
        """Check a message against a schema, stored or given."""
        check_project("parent", request.parent)
        encoding = _ENCODINGS.get(request.encoding)
        if encoding is None:
            raise InvalidArgument("encoding", request.encoding, "must be JSON or BINARY")
        check_message(await self._definition(request), encoding, request.message)
        return schema.message("ValidateMessageResponse")()

    async def _definition(self, request: Any) -> Definition:
        if request.WhichOneof("schema_spec") == "schema":
            return _parsed(*await _read(request.schema))
        found, revision_id = self._named(request.name)
        revision = found.revision(revision_id) if revision_id else found.live[-1]
        return self._registry.definition(found, revision)

    def _named(self, name: str) -> tuple[Schema, str]:
        """Return the schema that a name is about, and the id of the revision, if it has one."""
        schema_name, _, revision_id = name.partition("@")
        check_resource("name", schema_name, "schemas")
        return self._registry.get(schema_name), revision_id

    async def _add(self, found: Schema, body: Body) -> Any:
        if len(found.live) >= limits.SCHEMA_REVISIONS_MAX:
            raise Exhausted(
                f"{found.name} has {len(found.live)} revisions, which is the most that a schema may"
                " have; delete one."
            )
        more = found.with_revision(body)
        await self._registry.put(more)
        return _shown(more, more.live[-1], _FULL)


async def _read(message: Any) -> tuple[str, Body]:
    """Return type and body of a schema as a request gives it, compiled if it needs that."""
    type_ = _TYPES.get(message.type)
    if type_ is None:
        raise InvalidArgument("schema.type", message.type, "must be AVRO or PROTOCOL_BUFFER")
    size = len(message.definition.encode())
    if size > limits.SCHEMA_BYTES_MAX:
        raise InvalidArgument(
            "schema.definition", f"{size} bytes", f"at most {limits.SCHEMA_BYTES_MAX} bytes"
        )
    if message.HasField("compiled_proto_schema"):
        return type_, _compiled_body(type_, message)
    if not message.definition:
        raise InvalidArgument("schema.definition", "none given", "a schema needs one")
    if type_ == AVRO:
        return type_, Body(message.definition)
    try:
        files = await protoc.compiled(message.definition)
        return type_, Body(message.definition, files, only_message(files))
    except Mismatch as mismatch:
        raise _invalid_definition(mismatch) from None


def _compiled_body(type_: str, message: Any) -> Body:
    given = message.compiled_proto_schema
    if type_ != PROTOCOL_BUFFER or message.definition:
        raise InvalidArgument(
            "schema.compiled_proto_schema", "given", "stands alone, with the type PROTOCOL_BUFFER"
        )
    return Body("", given.compiled_bytes, given.root_message)


def _parsed(type_: str, body: Body) -> Definition:
    try:
        return parsed(type_, body)
    except Mismatch as mismatch:
        raise _invalid_definition(mismatch) from None


def _invalid_definition(mismatch: Mismatch) -> InvalidArgument:
    return InvalidArgument("schema.definition", "as given", str(mismatch))


def _shown(found: Schema, revision: Revision, view: int) -> Any:
    shown = schema.message("Schema")(
        name=found.name,
        type=next(number for number, type_ in _TYPES.items() if type_ == found.type),
        revision_id=revision.revision_id,
    )
    shown.revision_create_time.FromMicroseconds(revision.time_us)
    body = revision.body
    if view == _FULL and body is not None:
        if body.files and not body.definition:
            shown.compiled_proto_schema.compiled_bytes = body.files
            shown.compiled_proto_schema.root_message = body.root
        else:
            shown.definition = body.definition
    return shown
