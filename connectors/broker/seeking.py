"""What a subscription has to deliver after a seek: the decision, as positions and a mask.

Guarantees of a seek to a time: what was published before it counts as acked; what was published
at it or later, and is unacked or retained, is to be delivered. Retained is what the topic keeps by
its own retention, and what the subscription keeps of acked messages. What was expunged does not
come back.
"""

from __future__ import annotations

import numpy as np

from connectors.broker.errors import FailedPrecondition
from connectors.broker.events import Sought
from connectors.broker.need import Part, packed
from connectors.broker.resources import Snapshot, Subscription, Topic

__all__ = ["sought", "to_snapshot", "to_time"]


def to_time(subscription: Subscription, time_us: int, now_us: int) -> Part:
    """Return what is to be delivered after a seek to a time.

    Args:
        subscription: that is attached.
        time_us: to seek to, microseconds since 1970; may be in the future.
        now_us: the time, which ends retention.
    """
    topic, unacked = subscription.topic, subscription.part()
    retained = topic.end
    if subscription.settings.retain_acked:
        young = _published_since(topic, now_us - int(subscription.retention_s * 1e6))
        retained = max(subscription.floor, young)
    if topic.retained_from is not None:
        young = _published_since(topic, now_us - int(topic.retention_s * 1e6))
        retained = min(retained, max(topic.retained_from, young))
    base = min(unacked.base, retained)
    wanted = np.zeros(topic.end - base, np.bool_)
    wanted[unacked.base - base :] = unacked.needed
    wanted[retained - base :] = True
    wanted[: max(0, _published_since(topic, time_us) - base)] = False
    wanted &= topic.blocks.there(base, topic.end)
    return Part(base, wanted)


def to_snapshot(subscription: Subscription, snapshot: Snapshot) -> Part:
    """Return what is to be delivered after a seek to a snapshot.

    Raises:
        FailedPrecondition: the snapshot is of another topic.
    """
    topic = subscription.topic
    if snapshot.topic is not topic:
        raise FailedPrecondition(
            f"Snapshot {snapshot.settings.name} is of topic {snapshot.topic.shown_name}, and"
            f" subscription {subscription.settings.name} of {topic.shown_name}; they must be of"
            " the same topic."
        )
    wanted = np.ones(topic.end - snapshot.base, np.bool_)
    wanted[: snapshot.end - snapshot.base] = snapshot.unacked_mask()
    return Part(snapshot.base, wanted)


def sought(subscription: Subscription, wanted: Part, discard_until_us: int) -> Sought:
    """Return the event that has a subscription deliver this."""
    hits = np.flatnonzero(wanted.needed)
    start = int(hits[0]) if hits.size else wanted.needed.size
    acked = packed(~wanted.needed[start:])
    return Sought(subscription.uid, wanted.base + start, acked, discard_until_us)


def _published_since(topic: Topic, time_us: int) -> int:
    """Return the first position that was published at a time or later."""
    older = topic.blocks.older_than(time_us)
    return int(topic.blocks.firsts[older]) if older < len(topic.blocks) else topic.end
