"""Makes or updates what is declared, with the calls that any client would use.

Guarantees:
    All or nothing, as far as rules go: everything is done on a copy of the broker's resources
    first, so that what would be refused is refused before anything has changed. It can be repeated:
    what is as declared is left alone, and so is what is not declared.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from connectors.broker import schema
from connectors.broker.backlog import Backlog
from connectors.broker.declared.reading import Declaration, declared_in
from connectors.broker.engine import Engine
from connectors.broker.errors import NotFound, Refusal
from connectors.broker.events import Checkpoint
from connectors.broker.service import Router

__all__ = ["Outcome", "Plan"]

Call = Callable[[str, bytes], Awaitable[bytes]]
"""Calls a method by its full name; request and response as on gRPC's wire."""

_PUBLISHER, _SUBSCRIBER, _SCHEMAS = (
    f"/google.pubsub.v1.{name}/" for name in ("Publisher", "Subscriber", "SchemaService")
)
_FULL = 2
"""SchemaView: with the definition."""


class Outcome(NamedTuple):
    """What became of the declarations."""

    created: int
    updated: int
    unchanged: int


class Plan:
    """What a file declares.

    Raises:
        BadFile: it breaks a rule.
        OSError: it can't be read.
    """

    def __init__(self, path: Path) -> None:
        self._declarations = declared_in(path)

    async def rehearse(self, checkpoint: Checkpoint | None = None) -> None:
        """Carry it out on a copy of a broker's resources; without a checkpoint, of none.

        Raises:
            BadFile: something would be refused.
        """
        copy = Engine(None)
        try:
            if checkpoint:
                copy.state.apply(_without_messages(checkpoint))
            await self.carry_out(Router(copy).call)
        finally:
            await copy.close()

    async def carry_out(self, call: Call) -> Outcome:
        """Make what is missing, update what differs.

        Raises:
            BadFile: a declaration was refused.
        """
        done = [await _applied(each, call) for each in self._declarations]
        return Outcome(*(done.count(word) for word in Outcome._fields))


async def _applied(declaration: Declaration, call: Call) -> str:
    try:
        return await _METHODS[declaration.kind](declaration, call)
    except Refusal as error:
        raise declaration.refused(str(error), getattr(error, "field", "")) from None


async def _apply_schema(declaration: Declaration, call: Call) -> str:
    wanted = declaration.resource
    shown = await _shown(call, _SCHEMAS + "GetSchema", "Schema", name=wanted.name, view=_FULL)
    if shown is None:
        parent, _, schema_id = wanted.name.partition("/schemas/")
        await _do(
            call, _SCHEMAS + "CreateSchema", "CreateSchemaRequest",
            parent=parent, schema_id=schema_id, schema=wanted,
        )  # fmt: skip
        return "created"
    if (shown.type, shown.definition) == (wanted.type, wanted.definition):
        return "unchanged"
    await _do(
        call, _SCHEMAS + "CommitSchema", "CommitSchemaRequest", name=wanted.name, schema=wanted
    )
    return "updated"


async def _apply_topic(declaration: Declaration, call: Call) -> str:
    wanted = declaration.resource
    shown = await _shown(call, _PUBLISHER + "GetTopic", "Topic", topic=wanted.name)
    if shown is None:
        await call(_PUBLISHER + "CreateTopic", wanted.SerializeToString())
        return "created"
    if not (differing := _differing(declaration, shown)):
        return "unchanged"
    mask = {"paths": differing}
    await _do(
        call, _PUBLISHER + "UpdateTopic", "UpdateTopicRequest", topic=wanted, update_mask=mask
    )
    return "updated"


async def _apply_subscription(declaration: Declaration, call: Call) -> str:
    wanted = declaration.resource
    shown = await _shown(
        call, _SUBSCRIBER + "GetSubscription", "Subscription", subscription=wanted.name
    )
    if shown is None:
        await call(_SUBSCRIBER + "CreateSubscription", wanted.SerializeToString())
        return "created"
    if not (differing := _differing(declaration, shown)):
        return "unchanged"
    mask = {"paths": differing}
    await _do(
        call, _SUBSCRIBER + "UpdateSubscription", "UpdateSubscriptionRequest",
        subscription=wanted, update_mask=mask,
    )  # fmt: skip
    return "updated"


_METHODS = {
    "schemas": _apply_schema,
    "topics": _apply_topic,
    "subscriptions": _apply_subscription,
}


def _differing(declaration: Declaration, shown: Any) -> list[str]:
    """Return the fields that are declared otherwise than they are."""
    return [
        name
        for name in declaration.lines
        if getattr(declaration.resource, name) != getattr(shown, name)
    ]


async def _shown(call: Call, method: str, kind: str, **fields: Any) -> Any:
    """Return a resource as it is, None if there is none."""
    try:
        return schema.message(kind).FromString(
            await _do(call, method, method.rpartition("/")[2] + "Request", **fields)
        )
    except NotFound:
        return None


async def _do(call: Call, method: str, kind: str, **fields: Any) -> bytes:
    return await call(method, schema.message(kind)(**fields).SerializeToString())


def _without_messages(checkpoint: Checkpoint) -> Checkpoint:
    """Return the resources alone: the rows are not copied, so no backlog may need them."""
    ends = {topic.uid: topic.end for topic in checkpoint.topics}
    nothing = Backlog(0).acked()
    subscriptions = [
        msgspec.structs.replace(each, base=ends[each.topic_uid], acked=nothing)
        for each in checkpoint.subscriptions
    ]
    return msgspec.structs.replace(checkpoint, subscriptions=subscriptions, snapshots=[])
