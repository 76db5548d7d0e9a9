"""What happened: the events that the log keeps and that rebuild the state when replayed."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

__all__ = [
    "Acked",
    "Block",
    "Event",
    "Place",
    "Published",
    "Snapshot",
    "SubscriptionCreated",
    "SubscriptionDeleted",
    "TopicCreated",
    "TopicDeleted",
]


class Place(NamedTuple):
    """Where the log keeps the rows of a publish."""

    segment: int
    offset: int
    size_bytes: int


class Block(NamedTuple):
    """The messages of one publish: positions from ``first`` on."""

    first: int
    messages: int
    time_us: int
    place: Place


class TopicCreated(msgspec.Struct, frozen=True, tag=True):
    """A topic exists from here on; ``uid`` tells it from earlier ones of the same name."""

    uid: int
    name: str
    labels: dict[str, str]


class TopicDeleted(msgspec.Struct, frozen=True, tag=True):
    """The topic is gone; its subscriptions keep what they have."""

    uid: int


class SubscriptionCreated(msgspec.Struct, frozen=True, tag=True):
    """A subscription exists; it gets what is published from here on."""

    uid: int
    name: str
    topic_uid: int
    ack_deadline_s: int
    retention_s: int
    labels: dict[str, str]


class SubscriptionDeleted(msgspec.Struct, frozen=True, tag=True):
    """The subscription and its backlog are gone."""

    uid: int


class Published(msgspec.Struct, frozen=True, tag=True):
    """Messages were added to the end of a topic; their rows are at ``place``."""

    topic_uid: int
    first_id: int
    count: int
    time_us: int
    place: Place | None = None


class Acked(msgspec.Struct, frozen=True, tag=True, eq=False):
    """Positions of a subscription are done, and will not be delivered again."""

    uid: int
    positions: Any  # npt.NDArray[np.int64], which msgspec need not know


class TopicState(msgspec.Struct, frozen=True):
    """A topic in a snapshot; the name is empty once it was deleted."""

    created: TopicCreated
    deleted: bool
    end: int


class SubscriptionState(msgspec.Struct, frozen=True):
    """A subscription in a snapshot; ``acked`` is the bitmap from ``base`` to the topic's end."""

    created: SubscriptionCreated
    base: int
    acked: bytes


class Snapshot(msgspec.Struct, frozen=True, tag=True):
    """Everything durable but the rows: what all earlier events amount to."""

    next_id: int
    topics: list[TopicState]
    subscriptions: list[SubscriptionState]


Catalog = TopicCreated | TopicDeleted | SubscriptionCreated | SubscriptionDeleted | Snapshot
Event = Catalog | Published | Acked
