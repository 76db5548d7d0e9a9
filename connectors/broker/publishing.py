"""The way of a publish: transforms of the topic, its schema, then the log."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from connectors.broker import rows
from connectors.broker.engine import Engine
from connectors.broker.errors import InvalidArgument, NotFound
from connectors.broker.schemas.validation import Validator
from connectors.broker.state import Topic
from connectors.broker.transforming import active

__all__ = ["Publishing"]


class Publishing:
    """Publishes messages that keep the rules of the API (``rules.check_messages``)."""

    def __init__(self, engine: Engine, validator: Validator) -> None:
        self._engine, self._validator = engine, validator

    async def publish(self, topic: Topic, messages: pa.StructArray) -> pa.StringArray:
        """Publish messages, all or none; return their ids.

        The schema is that of what subscribers receive: transforms come first. A message that a
        transform drops has an id like all others, and is nowhere.

        Raises:
            InvalidArgument: a transform has failed, or a message is not of the topic's schema.
            NotFound: the topic, or its schema, was deleted.
            Exhausted: the disk is full.
            Unavailable: the log has failed.
        """
        settings = topic.settings
        kept = np.ones(len(messages), np.bool_)
        if active(settings.transforms):
            messages, kept = await self._transformed(topic, messages)
        if settings.schema and len(messages):
            messages = self._validator.validated(settings.schema, messages)
        dropped = self._engine.unused_ids(int(kept.size - kept.sum()))
        published = await self._engine.publish(topic, messages) if len(messages) else messages
        if published is None:
            raise NotFound(f"Topic {settings.name} was deleted meanwhile; nothing was published.")
        return _interleaved(kept, published, dropped) if len(dropped) else published

    async def _transformed(
        self, topic: Topic, messages: pa.StructArray
    ) -> tuple[pa.StructArray, npt.NDArray[np.bool_]]:
        batch = rows.unsent(messages)
        done = await self._engine.transforming.apply(topic.settings.transforms, batch)
        if done.faults:
            number, why = next(iter(done.faults.items()))
            raise InvalidArgument("messages", f"number {number + 1}", f"a transform failed: {why}")
        chosen = batch.take(rows.numbers(np.flatnonzero(done.kept), pa.int64()))
        columns = [done.data, done.attributes, *chosen.columns[2:]]
        return pa.StructArray.from_arrays(columns, fields=list(rows.STORED)), done.kept


def _interleaved(
    kept: npt.NDArray[np.bool_], published: pa.Array, dropped: pa.StringArray
) -> pa.StringArray:
    """Return the ids in the order of the request."""
    order = np.empty(kept.size, np.int64)
    order[kept] = np.arange(int(kept.sum()))
    order[~kept] = np.arange(len(dropped)) + int(kept.sum())
    ids = pa.concat_arrays([published, dropped]) if kept.any() else dropped
    return ids.take(rows.numbers(order, pa.int64()))
