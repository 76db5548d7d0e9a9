"""Dead letters: messages that were delivered too often go to another topic.

Guarantees:
- Forwarding and the ack are one bundle of the log: a message is in its subscription or in the dead
  letter topic, never in both or in none.
- What can't be forwarded, because the topic is missing or the disk is full, is delivered on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from connectors.broker import limits, rows
from connectors.broker.backlog import Positions
from connectors.broker.counters import Counters
from connectors.broker.delivery import Deliveries
from connectors.broker.errors import Refusal
from connectors.broker.events import Acked
from connectors.broker.frame import Entry
from connectors.broker.reading import fitting
from connectors.broker.state import State, Subscription, Topic
from connectors.broker.store import Store

__all__ = ["Forwarding", "forwarded"]

_SUBSCRIPTION = "CloudPubSubDeadLetterSourceSubscription"
_PROJECT = "CloudPubSubDeadLetterSourceSubscriptionProject"
_TIME = "CloudPubSubDeadLetterSourceTopicPublishTime"
_COUNT = "CloudPubSubDeadLetterSourceDeliveryCount"
_ADDED = (_SUBSCRIPTION, _PROJECT, _TIME, _COUNT)

_Publish = Callable[[Topic, pa.StructArray, list[Entry]], Awaitable[pa.StringArray | None]]


class Forwarding:
    """Forwards dead letters, one subscription at a time each.

    Args:
        state: whose subscriptions have them.
        log: that has the messages.
        deliveries: that says when there are some.
        counters: of what is forwarded.
        publish: adds messages to a topic, with more events in the same bundle.
    """

    def __init__(
        self,
        state: State,
        log: Store,
        deliveries: Deliveries,
        counters: Counters,
        publish: _Publish,
    ) -> None:
        self._state, self._log = state, log
        self._deliveries, self._counters, self._publish = deliveries, counters, publish
        self._tasks: dict[int, asyncio.Task[None]] = {}
        deliveries.dying = self.begin

    def begin(self, subscription: Subscription) -> None:
        """Forward what is dead in a subscription."""
        if subscription.uid not in self._tasks:
            task = asyncio.get_running_loop().create_task(self._forward_all(subscription))
            self._tasks[subscription.uid] = task

    async def close(self) -> None:
        """Finish what has been begun."""
        if self._tasks:
            await asyncio.wait(self._tasks.values())

    async def _forward_all(self, subscription: Subscription) -> None:
        try:
            going = True
            while going and self._dying(subscription):
                going = await self._forward(subscription)
        finally:
            del self._tasks[subscription.uid]

    def _dying(self, subscription: Subscription) -> int:
        """Return how many messages are to be forwarded: none of a subscription that was deleted.

        No ack reaches its backlog any more, so that the dead in there would never be fewer.
        """
        there = self._state.has_subscription(subscription.uid)
        return subscription.backlog.dying if there else 0

    async def _forward(self, subscription: Subscription) -> bool:
        """Forward some messages; return False if it can't be done now."""
        backlog = subscription.backlog
        positions = backlog.dead(limits.PUBLISH_MESSAGES_MAX)
        keys = subscription.topic.blocks.keys_of(positions)
        positions = positions[keys == keys[0]]  # all of a publish have the same
        batch, sizes = fitting(self._log, subscription.topic, positions, limits.PUBLISH_BYTES_MAX)
        positions = positions[: sizes.size]
        policy = subscription.settings.dead_letter
        topic = self._state.topics.get(policy.topic) if policy else None
        done = False
        if topic is not None:
            attempts = backlog.attempts(positions) - 1
            messages = forwarded(batch, subscription.settings.name, attempts)
            done = await self._publish_acking(topic, messages, subscription, positions)
        if not done:
            self._deliveries.revive(subscription, positions)
        return done

    async def _publish_acking(
        self,
        topic: Topic,
        messages: pa.StructArray,
        subscription: Subscription,
        positions: Positions,
    ) -> bool:
        try:
            acked = (Acked(subscription.uid, positions), b"")
            ids = await self._publish(topic, messages, [acked])
        except Refusal:
            return False
        if ids is not None:
            self._counters.subscription(subscription.uid).dead_lettered += positions.size
        return ids is not None


def forwarded(
    batch: pa.RecordBatch, subscription: str, attempts: npt.NDArray[np.int32]
) -> pa.StructArray:
    """Return messages as they are published again: with attributes that say where they come from.

    Args:
        batch: rows of ``rows.STORED``.
        subscription: name of the one that they come from.
        attempts: how often each was delivered.
    """
    _, project, _, name = subscription.split("/")
    count = batch.num_rows
    times = pc.strftime(batch.column("publish_time").cast(pa.timestamp("ms", tz="UTC"), safe=False),
                        format="%Y-%m-%dT%H:%M:%S+00:00")  # fmt: skip
    counts = rows.numbers(attempts, pa.int32()).cast(pa.string())
    added = [_repeated(name, count), _repeated(project, count), times, counts]
    attributes = _with_entries(batch.column("attributes"), added)
    columns = [attributes if field.name == "attributes" else batch.column(field.name)
               for field in rows.STORED]  # fmt: skip
    return pa.StructArray.from_arrays(columns, names=rows.STORED.names)


def _with_entries(attributes: pa.MapArray, added: list[pa.StringArray]) -> pa.MapArray:
    """Return maps in which the values of ``_ADDED`` are these, a column per key."""
    count, width = len(attributes), len(_ADDED)
    keys, items = attributes.keys, attributes.items
    start = rows.offsets(attributes)
    row_of = np.repeat(np.arange(count), np.diff(start))
    entries = np.arange(start[0], start[-1])
    kept = ~rows.truths(pc.is_in(keys, value_set=rows.texts(_ADDED)))[entries]
    entries, row_of = entries[kept], row_of[kept]
    # The old entries of all rows, then the new ones key by key: sorted by row, all is in place.
    all_rows = np.concatenate((row_of, np.tile(np.arange(count), width)))
    order = np.argsort(all_rows, kind="stable")
    which = np.concatenate((entries, len(keys) + np.arange(width * count)))[order]
    names = pa.concat_arrays([_repeated(key, count) for key in _ADDED])
    wanted = rows.numbers(which, pa.int64())
    all_keys = pa.concat_arrays([keys, names]).take(wanted)
    all_items = pa.concat_arrays([items, *added]).take(wanted)
    ends = np.concatenate(([0], np.cumsum(np.bincount(all_rows, minlength=count))))
    return pa.MapArray.from_arrays(rows.numbers(ends.astype(np.int32), pa.int32()),
                                   all_keys, all_items)  # fmt: skip


def _repeated(text: str, count: int) -> pa.StringArray:
    return rows.texts([text]).take(rows.numbers(np.zeros(count, np.int64), pa.int64()))
