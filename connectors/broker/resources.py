"""Topics, subscriptions and snapshots: what each has, and which messages it still needs."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from connectors.broker.backlog import Backlog
from connectors.broker.blocks import Blocks
from connectors.broker.events import Block, Sought
from connectors.broker.names import DELETED_TOPIC
from connectors.broker.need import Mask, Need, Part, packed, unpacked
from connectors.broker.settings import SnapshotSettings, SubscriptionSettings, TopicSettings

__all__ = ["Snapshot", "Subscription", "Topic"]


@dataclass(eq=False)
class Topic:
    """A topic and where its messages are; ``blocks`` are those that somebody still needs."""

    uid: int
    settings: TopicSettings
    end: int = 0
    deleted: bool = False
    retained_from: int | None = None
    """What the topic's own retention keeps begins here; None if it has none."""
    last_publish: tuple[int, int] = (0, 0)
    """First id and first position of the newest publish."""
    blocks: Blocks = field(default_factory=Blocks)
    subscriptions: dict[int, Subscription] = field(default_factory=dict)
    """Those that are attached, by number."""
    detached: dict[int, Subscription] = field(default_factory=dict)
    snapshots: dict[int, Snapshot] = field(default_factory=dict)

    @property
    def shown_name(self) -> str:
        """The name that its subscriptions show."""
        return DELETED_TOPIC if self.deleted else self.settings.name

    @property
    def retention_s(self) -> float:
        """How long the topic itself keeps its messages, seconds; 0 if it does not."""
        return (self.settings.retention_s or 0.0) if self.retained_from is not None else 0.0

    @property
    def forgotten(self) -> bool:
        """Whether it is deleted and nobody refers to it any more."""
        return self.deleted and not (self.subscriptions or self.detached or self.snapshots)

    def update(self, settings: TopicSettings) -> None:
        """Take new settings; what was there before a retention began is not retained by it."""
        self.settings = settings
        if settings.retention_s is None:
            self.retained_from = None
        elif self.retained_from is None:
            self.retained_from = self.end

    def delete(self) -> None:
        """Be deleted: the subscriptions keep what they have, and nothing else is kept."""
        self.deleted, self.retained_from = True, None

    def expunge(self, until: int) -> None:
        """Stop retaining what is below a position."""
        if self.retained_from is not None:
            self.retained_from = max(self.retained_from, until)

    def needed_from(self) -> int:
        """Return the position below which nobody needs anything."""
        lows = [each.needed_from() for each in self.subscriptions.values()]
        lows += [each.base for each in self.snapshots.values()]
        lows.append(self.end if self.retained_from is None else self.retained_from)
        return min(lows)

    def rows(self) -> tuple[int, bytes]:
        """Return where rows begin, and the bitmap of a checkpoint that says which are there."""
        if not self.blocks:
            return self.end, b""
        start = int(self.blocks.firsts[0])
        there = self.blocks.there(start, self.end)
        return start, b"" if there.all() else packed(there)

    def keep_rows(self, start: int, bitmap: bytes) -> None:
        """Let go of blocks that were gone when ``rows`` was called, whatever segments still hold.

        Segments are deleted without regard to what is written in them beside the rows, such as that
        blocks in others were let go of.
        """
        self.blocks.drop_below(start)
        if bitmap:
            there = unpacked(bitmap, self.end - start)
            self.blocks.keep(there[np.maximum(self.blocks.firsts - start, 0)])

    def need(self) -> Need:
        """Return which messages somebody needs."""
        tails = [s.floor for s in self.subscriptions.values() if s.settings.retain_acked]
        tails += [each.end for each in self.snapshots.values()]
        if self.retained_from is not None:
            tails.append(self.retained_from)
        return Need(min(tails, default=self.end), self._parts())

    def lacking(self) -> int:
        """Return how many messages somebody has still to get that are in no block."""
        firsts, stops = self.blocks.firsts, self.blocks.stops
        lacking = 0
        for part in self._parts():
            lacking += int(part.needed.sum() - part.counts(firsts, stops).sum())
        tails = [each.end for each in self.snapshots.values()]
        if self.retained_from is not None:
            tails.append(self.retained_from)
        tail = min(tails, default=self.end)
        there = np.clip(stops - np.maximum(firsts, tail), 0, None)
        return lacking + self.end - tail - int(there.sum())

    def _parts(self) -> list[Part]:
        parts = [each.part() for each in self.subscriptions.values()]
        return parts + [each.part() for each in self.snapshots.values()]


@dataclass(eq=False)
class Subscription:
    """A subscription and what it has still to deliver."""

    uid: int
    settings: SubscriptionSettings
    topic: Topic
    backlog: Backlog
    floor: int
    """Acked messages from here on are retained, if the settings say so."""
    detached: bool = False
    discard_until_us: int = 0
    """What is published before this time counts as acked, by a seek to it."""
    used_us: int = 0
    """When it was known to be used last, microseconds since 1970; 0 is not known."""

    @property
    def retention_s(self) -> float:
        """How long an unacked message is kept, seconds: the topic may keep it longer."""
        return max(self.settings.retention_s, self.topic.retention_s)

    def extend(self, block: Block) -> bool:
        """Take the messages of a publish; tell whether they count as acked at once."""
        stop = block.first + block.messages
        self.backlog.extend_to(stop, block.key if self.settings.ordered else 0)
        discarded = block.time_us < self.discard_until_us
        if discarded:
            self.backlog.ack(np.arange(block.first, stop))
        return discarded

    def update(self, settings: SubscriptionSettings) -> None:
        """Take new settings; what was acked before acked messages are retained is not."""
        if settings.retain_acked and not self.settings.retain_acked:
            self.floor = self.backlog.base
        self.settings = settings

    def seek(self, event: Sought) -> None:
        """Have these messages to deliver; leases end, and so does a seek into the future."""
        self._restore(event.base, event.acked)
        self.floor = min(self.floor, event.base)
        self.discard_until_us = event.discard_until_us

    def order(self) -> None:
        """Learn the ordering keys of all blocks, also of those that were not known before."""
        if self.settings.ordered:
            self._restore(self.backlog.base, self.backlog.acked())

    def _restore(self, base: int, acked: bytes) -> None:
        runs = self.topic.blocks.runs(base) if self.settings.ordered else None
        self.backlog = Backlog.restored(base, self.topic.end, acked, runs)

    def expunge(self, until: int) -> None:
        """Have nothing to deliver, and retain nothing, below a position."""
        if self.backlog.base < until:
            self.backlog.ack(np.arange(self.backlog.base, until))
        self.floor = max(self.floor, until)

    def detach(self) -> None:
        """Lose the backlog, and get nothing any more."""
        self.detached = True
        self.topic.detached[self.uid] = self
        self.topic.subscriptions.pop(self.uid, None)
        self.backlog = Backlog(self.backlog.end)

    def needed_from(self) -> int:
        """Return the position below which it needs nothing."""
        base = self.backlog.base
        return min(base, self.floor) if self.settings.retain_acked else base

    def part(self) -> Part:
        """Return which messages it has not acked."""
        return Part(self.backlog.base, self.backlog.unacked_mask())

    def oldest_us(self) -> int | None:
        """Return the publish time of the oldest message that is not acked, None if all are."""
        if self.backlog.base == self.backlog.end:
            return None
        blocks = self.topic.blocks
        return int(blocks.times_us[blocks.index(self.backlog.base)])


@dataclass(eq=False)
class Snapshot:
    """What a subscription had not acked at one moment, and everything published since."""

    uid: int
    settings: SnapshotSettings
    topic: Topic
    base: int
    end: int
    """The topic's end at that moment."""
    acked: bytes
    """Compressed bitmap of the positions from ``base`` to ``end``."""

    def unacked_mask(self) -> Mask:
        """Return for each position from ``base`` to ``end`` whether it was unacked."""
        return ~unpacked(self.acked, self.end - self.base)

    def part(self) -> Part:
        """Return which messages it holds of those before it."""
        return Part(self.base, self.unacked_mask())
