"""Which messages entered the graph and are not known to be acknowledged: decisions only.

No clock and no socket: deliveries, times and outcomes come in, and what to acknowledge, to give
back and to drop comes out. The unit is a bundle, what one call of ``process`` emits:

    open      the runner has not committed it, as far as we know
    asked     it is committed, and its acknowledgement is under way
    settled   the server has confirmed the acknowledgement

1. A bundle is listed in what the runner commits with it, until it is *over*: settled, and all
   that was asked of the server before that has been answered, for an answer may still hold it.
2. A message that a listed bundle holds is dropped. It belongs to the present bundle from then on,
   and is acknowledged with it: not earlier, for the listed one need not be committed yet.
3. A call begins with the list of the bundles that it follows. An open bundle that is not in it
   was rolled back: its leases are given back.
4. When a bundle is committed, so are those that it follows: whatever of them is still open is
   acknowledged with it. They may be of a process that died.
5. If leases don't last, what a process held that died can only be waited for. Its messages stay
   listed until each was seen again; or until the server had nothing to deliver, ``FORGET_S``
   after they were emitted: what was not acknowledged would have come by then. Ack deadlines are
   ten minutes at most. In any case no longer than the server keeps a message.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum

import pyarrow as pa

from connectors.identity import IDENTITY_SCHEMA, identity_keys
from connectors.pubsub.delivery import Delivery, Lease
from connectors.pubsub.emitted import Emitted
from connectors.pubsub.intake import RisingIds
from connectors.pubsub.reading import Unsettled
from connectors.records import RETENTION_S
from transforms.batch import Batch
from transforms.message import MESSAGE_ID

__all__ = ["Bundle", "Outstanding"]

FORGET_S = 3_600.0

_ID_BITS = 63
_SECOND_US = 1_000_000


class _State(Enum):
    OPEN = "open"
    ASKED = "asked"
    SETTLED = "settled"


@dataclass(eq=False)
class Bundle:
    """What one call emitted.

    Attributes:
        id: random.
        since_us: when it was begun.
        emitted: all messages that were delivered in it.
        leases: what acknowledges them.
        follows: the bundles that were listed when it began.
    """

    id: int
    since_us: int
    emitted: Emitted = field(default_factory=Emitted)
    leases: list[Lease] = field(default_factory=list)
    follows: list[Bundle] = field(default_factory=list)
    state: _State = _State.OPEN
    asked: int = 0  # when it was settled

    @property
    def owes(self) -> bool:
        """Whether there is something to acknowledge when it is committed."""
        return any(bundle.is_due for bundle in (self, *self.follows))

    @property
    def is_due(self) -> bool:
        """Whether its own leases are to be acknowledged when it is committed."""
        return self.state is _State.OPEN and bool(self.leases)


class Outstanding:
    """The bundles of one reader. Not thread-safe.

    Args:
        leases_last: see ``Subscription``.
    """

    def __init__(self, *, leases_last: bool) -> None:
        self._leases_last = leases_last
        self._bundles: dict[int, Bundle] = {}
        self._ids = RisingIds()

    def begin(self, listed: Sequence[Unsettled], now_us: int) -> tuple[Bundle, list[Lease]]:
        """Begin a bundle that follows the listed ones.

        Returns:
            The bundle, and the leases of bundles that were rolled back: to be given back.
        """
        follows = [self._find(each) for each in listed]
        for each in follows:
            # What it followed is over or listed too. A chain would keep all messages there were.
            each.follows = []
        known = {bundle.id for bundle in follows}
        gone = [bundle for bundle in self._bundles.values() if bundle.id not in known]
        released = [lease for bundle in gone if bundle.is_due for lease in bundle.leases]
        bundle = Bundle(secrets.randbits(_ID_BITS), now_us, follows=follows)
        self._bundles = {each.id: each for each in (*follows, bundle)}
        return bundle, released

    def accept(self, bundle: Bundle, delivery: Delivery) -> Batch:
        """Take a delivery into the bundle; return the messages that are new."""
        if delivery.lease is not None:
            bundle.leases.append(delivery.lease)
        identities = delivery.messages.select(IDENTITY_SCHEMA.names).rows
        if self._ids.rise(identities.column(MESSAGE_ID)):
            bundle.emitted.append(identities)
            return delivery.messages
        new = bundle.emitted.add(identities)
        keys = identity_keys(identities)
        for earlier in bundle.follows:
            seen = earlier.emitted.holds(keys)
            new &= ~seen
            if seen.any() and self._is_waited_for(earlier):
                earlier.emitted = earlier.emitted.without(keys.compress(seen, axis=0))
        return delivery.messages.filter(pa.array(new))

    def listed(
        self, bundle: Bundle, answered: int, now_us: int, *, idle: bool
    ) -> tuple[Unsettled, ...]:
        """Return what the next call has to know.

        Args:
            bundle: of the call that ends.
            answered: the requests for messages that were answered.
            now_us: the time.
            idle: the server had nothing to deliver.
        """
        kept = [
            each for each in bundle.follows if not self._is_over(each, answered, now_us, idle=idle)
        ]
        if bundle.leases:
            kept.append(bundle)
        return tuple(self._unsettled(each) for each in kept)

    def committed(self, bundle: Bundle) -> list[Bundle]:
        """Return the bundles to acknowledge now that the bundle is committed."""
        due = [each for each in (*bundle.follows, bundle) if each.is_due]
        for each in due:
            each.state = _State.ASKED
        return due

    def settled(self, bundles: Iterable[Bundle], asked: int) -> None:
        """Note that the server has confirmed; ``asked`` requests had been sent until then."""
        for bundle in bundles:
            bundle.state, bundle.asked = _State.SETTLED, asked

    def failed(self, bundles: Iterable[Bundle]) -> None:
        """Note that they could not be acknowledged: a later bundle tries again."""
        for bundle in bundles:
            bundle.state = _State.OPEN

    def open_leases(self) -> list[Lease]:
        """Return the leases of what nobody has asked to be acknowledged."""
        bundles = [bundle for bundle in self._bundles.values() if bundle.is_due]
        return [lease for bundle in bundles for lease in bundle.leases]

    def _find(self, listed: Unsettled) -> Bundle:
        known = self._bundles.get(listed.id)
        # What was waited for may have been seen by a call that was rolled back.
        if known is not None and (known.leases or known.emitted.encode() == listed.messages):
            return known
        emitted = Emitted.decode(listed.messages)
        for batch in emitted.messages().to_batches():
            self._ids.rise(batch.column(MESSAGE_ID))
        return Bundle(listed.id, listed.since_us, emitted, list(listed.leases))

    def _is_waited_for(self, bundle: Bundle) -> bool:
        return not bundle.leases and not self._leases_last

    def _is_over(self, bundle: Bundle, answered: int, now_us: int, *, idle: bool) -> bool:
        if bundle.state is _State.SETTLED:
            return answered >= bundle.asked
        if not self._is_waited_for(bundle):
            return False
        age_s = (now_us - bundle.since_us) / _SECOND_US
        return not len(bundle.emitted) or age_s > RETENTION_S or (idle and age_s > FORGET_S)

    def _unsettled(self, bundle: Bundle) -> Unsettled:
        leases = tuple(bundle.leases) if self._leases_last else ()
        return Unsettled(bundle.id, bundle.since_us, bundle.emitted.encode(), leases)
