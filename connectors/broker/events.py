"""What happened: the events that the log keeps and that rebuild the state when replayed."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
import xxhash

from connectors.broker.settings import SnapshotSettings, SubscriptionSettings, TopicSettings

__all__ = [
    "Acked",
    "Block",
    "Checkpoint",
    "Detached",
    "DocumentStored",
    "Event",
    "Expunged",
    "Moved",
    "Place",
    "Published",
    "Skipped",
    "SnapshotCreated",
    "SnapshotDeleted",
    "SnapshotState",
    "SnapshotUpdated",
    "Sought",
    "SubscriptionCreated",
    "SubscriptionDeleted",
    "SubscriptionState",
    "SubscriptionUpdated",
    "Swept",
    "TopicCreated",
    "TopicDeleted",
    "TopicState",
    "TopicUpdated",
    "Used",
    "key_hash",
]


class Place(NamedTuple):
    """Where the log keeps the rows of a publish."""

    segment: int
    offset: int
    size_bytes: int


class Block(NamedTuple):
    """The messages of one publish: positions from ``first`` on, all of one ordering key."""

    first: int
    messages: int
    time_us: int
    place: Place
    key: int = 0
    """``key_hash`` of the ordering key."""


def key_hash(ordering_key: str) -> int:
    """Return 32 bits that stand for an ordering key; 0 is no key.

    Two keys of one hash are ordered among each other, which is more than was asked for.
    """
    return (xxhash.xxh32_intdigest(ordering_key.encode()) or 1) if ordering_key else 0


class TopicCreated(msgspec.Struct, frozen=True, tag=True):
    """A topic exists from here on; ``uid`` tells it from earlier ones of the same name."""

    uid: int
    settings: TopicSettings


class TopicUpdated(msgspec.Struct, frozen=True, tag=True):
    """The settings of a topic are these from here on."""

    uid: int
    settings: TopicSettings


class TopicDeleted(msgspec.Struct, frozen=True, tag=True):
    """The topic is gone; its subscriptions keep what they have."""

    uid: int


class SubscriptionCreated(msgspec.Struct, frozen=True, tag=True):
    """A subscription exists; it gets what is published from here on."""

    uid: int
    topic_uid: int
    settings: SubscriptionSettings


class SubscriptionUpdated(msgspec.Struct, frozen=True, tag=True):
    """The settings of a subscription are these from here on."""

    uid: int
    settings: SubscriptionSettings


class SubscriptionDeleted(msgspec.Struct, frozen=True, tag=True):
    """The subscription and its backlog are gone."""

    uid: int


class Detached(msgspec.Struct, frozen=True, tag=True):
    """A subscription has lost its backlog and gets nothing any more."""

    uid: int


class Used(msgspec.Struct, frozen=True, tag=True):
    """Subscriptions were used at this time, microseconds since 1970; it is told now and then."""

    uids: list[int]
    time_us: int


class Sought(msgspec.Struct, frozen=True, tag=True):
    """What a subscription has to deliver is this from here on, by a seek."""

    uid: int
    base: int
    acked: bytes
    """Compressed bitmap from ``base`` to the topic's end."""
    discard_until_us: int = 0
    """What is published before this time counts as acked."""


class Expunged(msgspec.Struct, frozen=True, tag=True):
    """Positions below ``until`` are too old for a subscription, or for a topic's retention.

    They count as acked and are not retained.
    """

    uid: int
    until: int


class SnapshotCreated(msgspec.Struct, frozen=True, tag=True):
    """A snapshot holds what is not acked here, and everything published from here on."""

    uid: int
    topic_uid: int
    settings: SnapshotSettings
    base: int
    acked: bytes
    """Compressed bitmap from ``base`` to the topic's end."""


class SnapshotUpdated(msgspec.Struct, frozen=True, tag=True):
    """The settings of a snapshot are these from here on."""

    uid: int
    settings: SnapshotSettings


class SnapshotDeleted(msgspec.Struct, frozen=True, tag=True):
    """The snapshot is gone, and what only it held."""

    uid: int


class Swept(msgspec.Struct, frozen=True, tag=True):
    """Blocks that nobody needs are let go of, also behind older ones that somebody needs.

    It is an event because what a later seek can bring back depends on it.
    """


class Published(msgspec.Struct, frozen=True, tag=True):
    """Messages were added to the end of a topic; their rows are at ``place``."""

    topic_uid: int
    first_id: int
    count: int
    time_us: int
    place: Place | None = None
    key: int = 0


class Moved(msgspec.Struct, frozen=True, tag=True):
    """The messages of a block that are needed were copied to ``place``, from ``first`` on."""

    topic_uid: int
    first: int
    count: int
    time_us: int
    place: Place | None = None
    key: int = 0


class Skipped(msgspec.Struct, frozen=True, tag=True, eq=False):
    """Messages of the publish just before, in the same bundle, don't pass a subscription's filter.

    They count as acked. ``offsets`` are ascending, from 0 for the first message of the publish,
    whose id is ``first_id``: positions are known only when the publish is applied.
    """

    uid: int
    first_id: int
    offsets: Any  # npt.NDArray[np.int64], which msgspec need not know


class Acked(msgspec.Struct, frozen=True, tag=True, eq=False):
    """Positions of a subscription are done, and will not be delivered again."""

    uid: int
    positions: Any  # npt.NDArray[np.int64], which msgspec need not know


class DocumentStored(msgspec.Struct, frozen=True, tag=True):
    """A document of another part is this from here on, such as an access policy or a schema.

    The state keeps documents and does not look into them. None deletes one; those with the name of
    a topic, a subscription or a snapshot go with it.
    """

    kind: str
    name: str
    value: bytes | None


class TopicState(msgspec.Struct, frozen=True):
    """A topic in a checkpoint."""

    uid: int
    settings: TopicSettings
    deleted: bool
    end: int
    retained_from: int | None = None
    rows_from: int = 0
    """The position below which no rows are kept."""
    rows: bytes = b""
    """Compressed bitmap of which positions from there to ``end`` have rows; empty if all have."""


class SubscriptionState(msgspec.Struct, frozen=True):
    """A subscription in a checkpoint; ``acked`` is the bitmap from ``base`` to the topic's end."""

    uid: int
    topic_uid: int
    settings: SubscriptionSettings
    base: int
    acked: bytes
    floor: int = 0
    detached: bool = False
    discard_until_us: int = 0
    used_us: int = 0


class SnapshotState(msgspec.Struct, frozen=True):
    """A snapshot in a checkpoint."""

    uid: int
    topic_uid: int
    settings: SnapshotSettings
    base: int
    end: int
    acked: bytes


class Checkpoint(msgspec.Struct, frozen=True, tag=True):
    """Everything durable but the rows: what all earlier events amount to."""

    next_id: int
    topics: list[TopicState]
    subscriptions: list[SubscriptionState]
    documents: list[DocumentStored] = []
    last_us: int = 0
    """The newest publish time, which later ones don't go behind."""
    snapshots: list[SnapshotState] = []


Change = (
    TopicCreated
    | TopicUpdated
    | TopicDeleted
    | SubscriptionCreated
    | SubscriptionUpdated
    | SubscriptionDeleted
    | Detached
    | Used
    | Sought
    | Expunged
    | SnapshotCreated
    | SnapshotUpdated
    | SnapshotDeleted
)
Catalog = Change | DocumentStored | Swept | Checkpoint
Event = Catalog | Published | Moved | Skipped | Acked
