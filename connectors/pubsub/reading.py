"""How far a subscription has been read without end: the restriction of the splittable DoFn.

A durable runner commits it together with everything that was made of the messages. It holds no
position, for the server keeps that. It lists what the server may not know yet: the messages that
have entered the graph and whose acknowledgement is not confirmed.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import apache_beam as beam
import msgspec
from apache_beam.io.iobase import RestrictionProgress, RestrictionTracker

from connectors.pubsub.delivery import Delivery
from transforms.errors import PermanentError

__all__ = ["Call", "Claim", "Reading", "ReadingCoder", "ReadingTracker", "Unsettled"]

VERSION = 1


class Unsettled(msgspec.Struct, frozen=True, array_like=True):
    """The messages of one bundle, until it is certain that they don't come again.

    Attributes:
        id: of the bundle, random.
        since_us: when it was begun, microseconds since 1970.
        messages: their identities, as ``encode_identities`` gives them.
        leases: texts that acknowledge them, also from another process; none where there are none.
    """

    id: int
    since_us: int
    messages: bytes
    leases: tuple[str, ...] = ()


class Reading(msgspec.Struct, frozen=True, array_like=True):
    """How far the reader of one subscription is.

    Attributes:
        unsettled: what was emitted; the older first.
        ending: the job drains: nothing more is read.
        steps: what the watermark has yet to follow; see ``Tracker``.
    """

    unsettled: tuple[Unsettled, ...] = ()
    ending: bool = False
    steps: tuple[tuple[int, int], ...] = ()
    version: int = VERSION


class ReadingCoder(beam.coders.Coder):
    """MessagePack, with its version."""

    def encode(self, value: Reading) -> bytes:
        """Encode it; equal readings have equal bytes."""
        return msgspec.msgpack.encode(value)

    def decode(self, encoded: bytes) -> Reading:
        """Decode it.

        Raises:
            PermanentError: a later version has written it.
        """
        fields = msgspec.msgpack.decode(encoded)
        if fields[3] > VERSION:
            raise PermanentError(
                f"the state of a subscription's reader has version {fields[3]}, and this Headrace "
                f"knows {VERSION}: run the job with the version that has written its state"
            )
        return msgspec.convert(fields, Reading)

    def is_deterministic(self) -> bool:
        """The order of fields is fixed."""
        return True

    def to_type_hint(self) -> type[Reading]:
        """The Python type that this coder encodes."""
        return Reading

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other)

    def __hash__(self) -> int:
        return hash(type(self))


class Call(Protocol):
    """One call of ``process``, as far as claims are concerned."""

    def accept(self, delivery: Delivery) -> None:
        """Take a delivery into the bundle."""

    def rest(self) -> Reading:
        """Return what the next call has to know."""


class Claim(NamedTuple):
    """What a call claims: at first the right to work, then one delivery after the other."""

    call: Call
    delivery: Delivery | None = None


class ReadingTracker(RestrictionTracker):
    """Ends a call of ``process`` between two deliveries, whoever asks for it.

    A delivery that is claimed is listed in the rest; one that is not waits in the reader.
    """

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._call: Call | None = None
        self._claimed = 0
        self._ended = False

    def current_restriction(self) -> Reading:
        """Return where this call began."""
        return self._reading

    def try_claim(self, position: Claim) -> bool:
        """Take a delivery into the bundle, unless the rest is somebody else's by now."""
        if self._ended:
            return False
        self._call = position.call
        if position.delivery is not None:
            position.call.accept(position.delivery)
            self._claimed += 1
        return True

    def try_split(self, fraction_of_remainder: float) -> tuple[Reading, Reading] | None:
        """End here, at fraction 0; there is no other place, for nobody knows what is to come."""
        if self._ended or fraction_of_remainder != 0:
            return None
        self._ended = True
        return self._reading, self._reading if self._call is None else self._call.rest()

    def check_done(self) -> bool:
        """Check that there is a rest, or that the job ends.

        Raises:
            ValueError: ``process`` has returned before its end.
        """
        if not (self._ended or self._reading.ending):
            raise ValueError("a subscription is read without end, but process() has returned")
        return True

    def current_progress(self) -> RestrictionProgress:
        """Return the deliveries of this call; what is to come is not known."""
        return RestrictionProgress(completed=self._claimed, remaining=1)

    def is_bounded(self) -> bool:
        """It never ends by itself."""
        return False
