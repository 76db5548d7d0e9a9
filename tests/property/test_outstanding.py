"""Each message takes effect once, in whatever order commits, failures and deliveries come.

The model is a server with leases, a runner that commits or takes back, and a process that may die
between any two steps. Answers of the server lie on the way for a while, as those do that were
asked for ahead; acknowledgements may fail, or succeed without anyone hearing of it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pyarrow as pa
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from connectors.pubsub.delivery import NOTHING, Delivery
from connectors.pubsub.outstanding import Bundle, Outstanding
from connectors.pubsub.reading import Reading, ReadingCoder
from tests.conftest import message_batch
from transforms.batch import Batch
from transforms.message import MESSAGE_ID

CODER = ReadingCoder()
NOW_US = 1_000_000
INDEX = st.integers(0, 7)


@dataclass
class Server:
    """Messages by number: ready, or held by a lease, until they are acknowledged."""

    leases_last: bool
    published: int = 0
    held: dict[int, str | None] = field(default_factory=dict)  # unacknowledged, and by which lease
    leases: dict[str, list[int]] = field(default_factory=dict)

    def publish(self, count: int) -> None:
        """Add messages."""
        for number in range(self.published, self.published + count):
            self.held[number] = None
        self.published += count

    def deliver(self, count: int) -> Delivery:
        """Lease the oldest messages that are ready."""
        numbers = [number for number in sorted(self.held) if self.held[number] is None][:count]
        if not numbers:
            return Delivery(NOTHING, None, 0, 0)
        lease = f"lease-{len(self.leases)}"
        self.leases[lease] = numbers
        self.held.update(dict.fromkeys(numbers, lease))
        batches = [message_batch([b"x"], number) for number in numbers]
        return Delivery(Batch.concat(batches), lease, None, None)

    def acknowledge(self, leases: list[str]) -> None:
        """Settle what leases hold; those that last, also what they held."""
        for lease in leases:
            for number in self.leases[lease]:
                if self.leases_last or self.held.get(number) == lease:
                    self.held.pop(number, None)

    def release(self, leases: list[str]) -> None:
        """Make what leases hold ready again."""
        gone = set(leases)
        self.held.update({n: None for n, lease in self.held.items() if lease in gone})


class ExactlyOnce(RuleBasedStateMachine):
    """A reader between a server and a runner."""

    @initialize(leases_last=st.booleans())
    def start(self, leases_last: bool) -> None:
        """Start with nothing."""
        self.server = Server(leases_last)
        self.stored = CODER.encode(Reading())
        self.committed: list[int] = []
        self.begin_process()

    def begin_process(self) -> None:
        """Begin with what is stored, and nothing else."""
        self.outstanding = Outstanding(leases_last=self.server.leases_last)
        self.under_way: list[Delivery] = []
        self.acks: list[list[Bundle]] = []
        self.asked = self.answered = 0
        self.take_back()

    @rule()
    def take_back(self) -> None:
        """The runner forgets the epoch."""
        self.reading = CODER.decode(self.stored)
        self.emitted: list[int] = []
        self.bundles: list[Bundle] = []

    @rule(count=st.integers(1, 5))
    def publish(self, count: int) -> None:
        """Messages come."""
        self.server.publish(count)

    @rule(count=st.integers(1, 5))
    def ask(self, count: int) -> None:
        """The server answers a request; nobody has looked at the answer yet."""
        self.asked += 1
        self.under_way.append(self.server.deliver(count))

    @rule(deliveries=st.integers(0, 3))
    def call(self, deliveries: int) -> None:
        """The runner calls process: it takes the answers that came first."""
        bundle, released = self.outstanding.begin(self.reading.unsettled, NOW_US)
        self.server.release(released)
        for delivery in self.under_way[:deliveries]:
            fresh = self.outstanding.accept(bundle, delivery)
            self.emitted += map(int, fresh.column(MESSAGE_ID).to_pylist())
        self.answered += len(self.under_way[:deliveries])
        del self.under_way[:deliveries]
        listed = self.outstanding.listed(bundle, self.answered, NOW_US, idle=False)
        self.reading = CODER.decode(CODER.encode(Reading(listed)))
        self.bundles.append(bundle)

    @rule(finalized=st.booleans())
    def commit(self, finalized: bool) -> None:
        """The epoch is durable; what finalizes it may fail."""
        self.stored = CODER.encode(self.reading)
        self.committed += self.emitted
        for bundle in self.bundles if finalized else ():
            due = self.outstanding.committed(bundle)
            if due:
                self.acks.append(due)
        self.take_back()

    @precondition(lambda self: self.acks)
    @rule(heard=st.booleans(), done=st.booleans())
    def acknowledge(self, heard: bool, done: bool) -> None:
        """An acknowledgement ends: done or not, and the client hears of it or not."""
        bundles = self.acks.pop(0)
        if done or heard:
            self.server.acknowledge([lease for each in bundles for lease in each.leases])
        if heard:
            self.outstanding.settled(bundles, self.asked)
        else:
            self.outstanding.failed(bundles)

    @rule(done=st.booleans())
    def crash(self, done: bool) -> None:
        """The process dies; acknowledgements on the way arrive or don't."""
        for bundles in self.acks if done else ():
            self.server.acknowledge([lease for each in bundles for lease in each.leases])
        self.begin_process()

    @rule(index=INDEX)
    def expire(self, index: int) -> None:
        """A lease expires. One that doesn't last must not, between a commit and its outcome."""
        leases = sorted({lease for lease in self.server.held.values() if lease is not None})
        if not self.server.leases_last:
            living = {lease for bundles in self.acks for each in bundles for lease in each.leases}
            living |= set(self.outstanding.open_leases())
            leases = [lease for lease in leases if lease not in living]
        if leases:
            self.server.release([leases[index % len(leases)]])

    @invariant()
    def nothing_takes_effect_twice(self) -> None:
        """No message is committed a second time."""
        assert len(self.committed) == len(set(self.committed))

    def teardown(self) -> None:
        """Without further failures everything takes effect, and nothing stays unacknowledged."""
        if not hasattr(self, "server"):
            return
        self.crash(done=False)
        self.server.release(list(self.server.leases))
        for _ in range(4):
            while any(lease is None for lease in self.server.held.values()):
                self.ask(5)
            self.call(len(self.under_way))
            self.commit(finalized=True)
            while self.acks:
                self.acknowledge(heard=True, done=True)
        assert sorted(self.committed) == list(range(self.server.published))
        assert not self.server.held
        if self.server.leases_last:
            assert not CODER.decode(self.stored).unsettled


ExactlyOnce.TestCase.settings = settings(max_examples=300, stateful_step_count=60, deadline=None)
TestExactlyOnce = ExactlyOnce.TestCase


def test_model_of_the_server() -> None:
    """A lease that lasts acknowledges what it held, another only what it holds."""
    for leases_last, left in ((True, []), (False, [0])):
        server = Server(leases_last)
        server.publish(1)
        lease = server.deliver(1).lease
        server.release([lease])
        server.acknowledge([lease])
        assert list(server.held) == left
    assert pa.types.is_string(NOTHING.column(MESSAGE_ID).type)
