"""Ordered, exactly-once and retried delivery against a model with one record per message."""

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from connectors.broker.backlog import Backlog
from connectors.broker.retry import Redelivery
from tests.broker_model import OUT, Model, Record

CHOICES = st.lists(
    st.tuples(st.integers(0, 9), st.sampled_from([0] * 8 + [1, 60])), min_size=1, max_size=8
)
"""Messages to ack, nack or extend: which of those that are out, and how far from it and its lease.
"""
POLICIES = st.sampled_from(
    [Redelivery(), Redelivery(1.0, 4.0), Redelivery(attempts_max=2), Redelivery(0.5, 60.0, 3)]
)
SIZE_BYTES = 7


class DeliveryMachine(RuleBasedStateMachine):
    """Any interleaving of publish, pull, ack, commit, failure, time, forwarding and crash."""

    ordered = exactly_once = False

    @initialize(redelivery=POLICIES, keep=st.integers(0, 12))
    def start(self, redelivery: Redelivery, keep: int) -> None:
        self.now_s, self.generation = 100.0, 0
        self.backlog = Backlog(0, ordered=self.ordered)
        self.model = Model(self.ordered, self.exactly_once, redelivery)
        self.commits: list[list[int]] = []
        for key in (1, 2, 0, 1):
            self.publish(3, key)
        self.pull(12, keep, 1)

    @rule(count=st.integers(1, 5), key=st.integers(0, 2))
    def publish(self, count: int, key: int) -> None:
        end = self.backlog.end
        self.backlog.extend_to(end + count, key)
        self.model.publish(end, count, key)

    @rule(count=st.integers(1, 20), keep=st.integers(1, 20), owner=st.integers(0, 2))
    def pull(self, count: int, keep: int, owner: int) -> None:
        positions = self.backlog.peek(count)
        assert positions.tolist() == self.model.deliverable(self.now_s)[:count]
        positions = positions[:keep]
        self.generation += 1
        self.backlog.take(
            positions, np.full(positions.size, SIZE_BYTES), self.now_s, 10.0,
            generation=self.generation, owner=owner,
        )  # fmt: skip
        failures = [self.model.records[p].failures for p in positions.tolist()]
        assert self.backlog.attempts(positions).tolist() == [1 + each for each in failures]
        for position in positions.tolist():
            self.model.lease(position, self.generation, self.now_s + 10.0, owner)
            self.check_order(position)

    def check_order(self, position: int) -> None:
        """What goes out of a key goes out with all that is before it and not acked."""
        for earlier in self.model.of_key(position):
            if earlier is self.model.records[position]:
                break
            assert earlier.phase == "acked" or earlier.generation == self.generation

    def chosen(self, choices: list[tuple[int, int]]) -> tuple[list[int], list[int]]:
        """Return positions, of which some are strange, and generations, some of them stale."""
        out = [*self.model.having(*OUT), *self.model.having("waiting")[:3]] or [0]
        near = [out[which % len(out)] for which, _ in choices]
        positions = [each + (off > 1) * off for each, (_, off) in zip(near, choices, strict=True)]
        records = [self.model.records.get(each, Record()) for each in near]
        generations = [
            r.generation - (off == 1) for r, (_, off) in zip(records, choices, strict=True)
        ]
        return positions, [max(0, each) for each in generations]

    @rule(choices=CHOICES)
    def ack(self, choices: list[tuple[int, int]]) -> None:
        self.ack_these(*self.chosen(choices))

    @rule(order=st.permutations(range(6)))
    def ack_one_by_one(self, order: list[int]) -> None:
        """What is leased, in any order."""
        leased = self.model.having("leased")
        for position in [leased[n] for n in order if n < len(leased)]:
            self.ack_these([position], [self.model.records[position].generation])

    def ack_these(self, positions: list[int], generations: list[int]) -> None:
        """Ack in one request."""
        where = np.array(positions, np.int64)
        if self.model.exactly_once:
            held = [self.model.held(*each) for each in zip(positions, generations, strict=True)]
            assert self.backlog.holds(where, np.array(generations)).tolist() == held
            positions = [p for p, yes in zip(positions, held, strict=True) if yes]
            durable = self.backlog.settle_held(np.array(positions, np.int64)).tolist()
        else:
            durable = self.backlog.settle(where).tolist()
        assert durable == self.model.settle(positions)
        self.commits.append(durable)

    @rule(count=st.integers(1, 3))
    def commits_succeed(self, count: int) -> None:
        for positions in self.commits[:count]:
            self.backlog.ack(np.array(positions, np.int64))
            self.model.acked(positions)
        del self.commits[:count]

    @rule()
    def commit_fails(self) -> None:
        if self.commits:
            positions = self.commits.pop(0)
            self.backlog.unsettle(np.array(positions, np.int64))
            self.model.unsettled(positions)

    @rule(choices=CHOICES)
    def nack(self, choices: list[tuple[int, int]]) -> None:
        positions, generations = self.chosen(choices)
        where = np.array(positions, np.int64)
        self.backlog.nack(where, np.array(generations), self.now_s, self.model.redelivery)
        self.model.fail(self.leased_under(positions, generations), self.now_s)

    @rule(choices=CHOICES, lease_s=st.sampled_from([3.0, 40.0]))
    def extend(self, choices: list[tuple[int, int]], lease_s: float) -> None:
        positions, generations = self.chosen(choices)
        where = np.array(positions, np.int64)
        self.backlog.extend(where, np.array(generations), self.now_s, lease_s)
        self.model.extend(self.leased_under(positions, generations), self.now_s + lease_s)

    def leased_under(self, positions: list[int], generations: list[int]) -> list[int]:
        """Return which of the positions can still be nacked or extended under their lease."""
        leased = {p: self.model.records[p].generation for p in self.model.having("leased")}
        given = set(zip(positions, generations, strict=True))
        return [p for p, generation in leased.items() if (p, generation) in given]

    @rule(seconds=st.sampled_from([0.05, 0.6, 1.1, 1.1, 2.9, 10.1]))
    def pass_time(self, seconds: float) -> None:
        self.now_s += seconds
        lost = self.backlog.expire(self.now_s, self.model.redelivery)
        assert lost == self.model.expire(self.now_s)

    @rule(works=st.booleans(), count=st.integers(1, 5))
    def forward(self, works: bool, count: int) -> None:
        positions = self.backlog.dead(count)
        assert positions.tolist() == self.model.having("dead")[:count]
        if works:
            self.backlog.ack(positions)
            self.model.acked(positions.tolist())
        else:
            self.backlog.revive(positions, self.now_s, self.model.redelivery)
            self.model.wait(positions.tolist(), self.now_s)

    @rule(durable=st.integers(0, 3), chance=st.integers(0, 4))
    def crash(self, durable: int, chance: int) -> None:
        """Acks on their way become durable or not, the earlier ones first."""
        if chance:
            return  # most of the time, so that something is there to be lost
        for positions in self.commits[:durable]:
            self.backlog.ack(np.array(positions, np.int64))
            self.model.acked(positions)
        self.commits.clear()
        old = self.backlog
        self.backlog = Backlog.restored(old.base, old.end, old.acked(), self.model.runs(old.base))
        self.model.restart()

    @invariant()
    def counts_agree(self) -> None:
        having = self.model.having
        assert self.backlog.ready == len(self.model.deliverable(self.now_s))
        assert self.backlog.leased == len(having(*OUT[:3]))
        assert self.backlog.waiting == len(having("waiting", "dead"))
        assert self.backlog.dying == len(having("dead"))
        assert self.backlog.base == min(having("waiting", *OUT), default=self.backlog.end)

    @invariant()
    def owners_agree(self) -> None:
        leased = self.model.having("leased")
        for owner in (1, 2):
            count = sum(self.model.records[p].owner == owner for p in leased)
            assert self.backlog.held(owner) == (count, count * SIZE_BYTES)

    @invariant()
    def next_expiry_is_not_missed(self) -> None:
        assert self.backlog.expiry_s <= self.model.next_s(self.now_s)


class OrderedMachine(DeliveryMachine):
    """With ordering keys."""

    ordered = True


class ExactlyOnceMachine(DeliveryMachine):
    """With acks that are refused."""

    exactly_once = True


class OrderedExactlyOnceMachine(DeliveryMachine):
    """With both."""

    ordered = exactly_once = True


for machine in (DeliveryMachine, OrderedMachine, ExactlyOnceMachine, OrderedExactlyOnceMachine):
    machine.TestCase.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)

TestDelivery = DeliveryMachine.TestCase
TestOrdered = OrderedMachine.TestCase
TestExactlyOnce = ExactlyOnceMachine.TestCase
TestOrderedExactlyOnce = OrderedExactlyOnceMachine.TestCase
