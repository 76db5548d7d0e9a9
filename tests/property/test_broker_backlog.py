"""The backlog of a subscription against a naive model that keeps one record per message."""

import math
from dataclasses import dataclass, field

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from connectors.broker.backlog import DEADLINE_TICK_S, Backlog

POSITIONS = st.lists(st.integers(-3, 70), max_size=12)


@dataclass
class Record:
    """A message as the model sees it."""

    acked: bool = False
    deadline_s: float | None = None
    generation: int = 0
    owner: int = 0


@dataclass
class Model:
    """What the broker promises, message by message."""

    first: int
    records: dict[int, Record] = field(default_factory=dict)

    def ready(self) -> list[int]:
        return [p for p, r in self.records.items() if not r.acked and r.deadline_s is None]

    def leased(self) -> list[int]:
        return [p for p, r in self.records.items() if not r.acked and r.deadline_s is not None]


class BacklogMachine(RuleBasedStateMachine):
    """Any interleaving of publish, pull, ack, extend, nack, expiry, retention and restart."""

    @initialize(first=st.integers(0, 5))
    def start(self, first: int) -> None:
        self.now_s = 100.0
        self.generation = 0
        self.backlog = Backlog(first)
        self.model = Model(first)

    @rule(count=st.integers(1, 20))
    def publish(self, count: int) -> None:
        end = self.backlog.end
        self.backlog.extend_to(end + count)
        self.model.records.update({end + n: Record() for n in range(count)})

    @rule(count=st.integers(1, 30), keep=st.integers(1, 30), owner=st.integers(0, 2))
    def pull(self, count: int, keep: int, owner: int) -> None:
        positions = self.backlog.peek(count)
        assert positions.tolist() == sorted(self.model.ready())[:count]
        positions = positions[:keep]
        self.generation += 1
        self.backlog.take(
            positions, np.full(positions.size, 7), self.now_s, 10.0,
            generation=self.generation, owner=owner,
        )  # fmt: skip
        for position in positions.tolist():
            self.model.records[position] = Record(
                deadline_s=_tick(self.now_s + 10.0), generation=self.generation, owner=owner
            )

    @rule(positions=POSITIONS)
    def ack(self, positions: list[int]) -> None:
        self.backlog.ack(np.array(positions, np.int64))
        for position in set(positions) & set(self.model.records):
            self.model.records[position].acked = True

    @rule(positions=POSITIONS, lag=st.integers(0, 2), lease_s=st.sampled_from([0.0, 3.0, 40.0]))
    def extend(self, positions: list[int], lag: int, lease_s: float) -> None:
        generation = max(0, self.generation - lag)
        where = np.array(positions, np.int64)
        if lease_s:
            self.backlog.extend(where, generation, self.now_s, lease_s)
        else:
            self.backlog.nack(where, generation, self.now_s)
        for position in set(positions) & set(self.model.leased()):
            record = self.model.records[position]
            if record.generation == generation:
                record.deadline_s = _tick(self.now_s + lease_s) if lease_s else None

    @rule(seconds=st.sampled_from([0.0, 0.05, 2.9, 3.2, 10.0, 10.1, 100.0]))
    def pass_time(self, seconds: float) -> None:
        self.now_s += seconds
        self.backlog.expire(self.now_s)
        for position in self.model.leased():
            record = self.model.records[position]
            assert record.deadline_s is not None
            if record.deadline_s <= self.now_s:
                record.deadline_s = None

    @rule()
    def restart(self) -> None:
        old = self.backlog
        self.backlog = Backlog.restored(old.base, old.end, old.acked())
        for position in self.model.leased():
            self.model.records[position].deadline_s = None

    @invariant()
    def counts_agree(self) -> None:
        ready, leased = self.model.ready(), self.model.leased()
        assert (self.backlog.ready, self.backlog.leased) == (len(ready), len(leased))
        assert self.backlog.base == min([*ready, *leased], default=self.backlog.end)

    @invariant()
    def owners_agree(self) -> None:
        for owner in (1, 2):
            held = [p for p in self.model.leased() if self.model.records[p].owner == owner]
            assert self.backlog.held(owner) == (len(held), 7 * len(held))

    @invariant()
    def next_expiry_is_not_missed(self) -> None:
        deadlines = [self.model.records[p].deadline_s for p in self.model.leased()]
        assert self.backlog.expiry_s <= min(deadlines, default=math.inf)

    @invariant()
    def unacked_ranges_agree(self) -> None:
        starts = np.array([0, self.model.first, 9, 30])
        stops = np.array([10, self.model.first + 7, 9, 200])
        waiting = [*self.model.ready(), *self.model.leased()]
        expected = [sum(a <= p < b for p in waiting) for a, b in zip(starts, stops, strict=True)]
        assert self.backlog.unacked_in(starts, stops).tolist() == expected


def _tick(deadline_s: float) -> float:
    return math.ceil(deadline_s / DEADLINE_TICK_S) * DEADLINE_TICK_S


BacklogMachine.TestCase.settings = settings(max_examples=100, stateful_step_count=40, deadline=None)
TestBacklog = BacklogMachine.TestCase
