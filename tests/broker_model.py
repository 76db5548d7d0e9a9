"""What a subscription promises, message by message: the naive model of its backlog."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from connectors.broker.backlog import DEADLINE_TICK_S
from connectors.broker.retry import Redelivery

OUT = ("leased", "settling", "deferred", "dead")


@dataclass
class Record:
    """A message: ``phase`` is waiting, one of ``OUT``, or acked."""

    key: int = 0
    phase: str = "waiting"
    deadline_s: float = 0.0
    not_before_s: float = 0.0
    generation: int = 0
    owner: int = 0
    failures: int = 0


@dataclass
class Model:
    """All messages of a subscription by position."""

    ordered: bool
    exactly_once: bool
    redelivery: Redelivery
    records: dict[int, Record] = field(default_factory=dict)
    backoffs: dict[int, float] = field(default_factory=dict)
    """By key, until when it waits."""

    def having(self, *phases: str) -> list[int]:
        """Return the positions that are in one of the phases, ascending."""
        return sorted(p for p, r in self.records.items() if r.phase in phases)

    def of_key(self, position: int) -> list[Record]:
        """Return the messages of the same key, in order; that one alone if it has none."""
        key = self.key(position)
        if not key:
            return [self.records[position]]
        return [r for _, r in sorted(self.records.items()) if r.key == key]

    def key(self, position: int) -> int:
        """Return the key that orders a message; 0 is none."""
        return self.records[position].key if self.ordered else 0

    def deliverable(self, now_s: float) -> list[int]:
        """Return what could go out, oldest first."""
        held = {self.key(p) for p in self.having(*OUT)} - {0}
        late = {key for key, until_s in self.backoffs.items() if until_s > now_s}
        return [p for p in self.having("waiting") if self.records[p].not_before_s <= now_s
                and self.key(p) not in held | late]  # fmt: skip

    def lease(self, position: int, generation: int, deadline_s: float, owner: int) -> None:
        """Give a message out."""
        record = self.records[position]
        record.phase, record.generation, record.owner = "leased", generation, owner
        record.deadline_s = tick(deadline_s)

    def held(self, position: int, generation: int) -> bool:
        """Tell whether a message is out under a lease, or its ack from there on the way."""
        record = self.records.get(position)
        return bool(record) and record.phase in OUT[:2] and record.generation == generation

    def settle(self, positions: list[int]) -> list[int]:
        """Accept acks; return what is to be made durable."""
        open_ones = [p for p in sorted(set(positions)) if p in self.records
                     and self.records[p].phase != "acked"]  # fmt: skip
        durable = []
        for key in {self.key(p) for p in open_ones}:
            for position in self._front(key, open_ones) if key else ():
                self.records[position].phase = "settling"
                durable.append(position)
        for position in open_ones:
            if not self.key(position):
                durable.append(position)
                if self.exactly_once:
                    self.records[position].phase = "settling"
            elif self.records[position].phase == "leased" and not self.exactly_once:
                self.records[position].phase = "deferred"
        return sorted(durable)

    def _front(self, key: int, acks: list[int]) -> list[int]:
        found = []
        for position in sorted(p for p in self.records if self.records[p].key == key):
            phase = self.records[position].phase
            if phase in ("settling", "deferred") or position in acks:
                found.append(position)
            elif phase != "acked":
                break
        return found

    def fail(self, positions: list[int], now_s: float) -> None:
        """Have failed deliveries come again, and of a key all that was given out later."""
        first: dict[int, int] = {}
        for position in sorted(positions):
            first.setdefault(self.key(position), position)
        for position, record in self.records.items():
            key = self.key(position)
            given = record.phase in ("leased", "deferred")
            later = bool(key) and position > first.get(key, position)
            if later and given and position not in positions:
                record.phase = "waiting"
        for position in sorted(positions):
            record = self.records[position]
            record.failures += 1
            most = self.redelivery.attempts_max
            record.phase = "dead" if most and record.failures >= most else "waiting"
        self.wait([p for p in sorted(positions) if self.records[p].phase == "waiting"], now_s)

    def wait(self, positions: list[int], now_s: float) -> None:
        """Let messages wait for the end of their backoff, of a key that of its first message."""
        done = set()
        for position in sorted(positions):
            record = self.records[position]
            record.phase = "waiting"
            low, high = self.redelivery.backoff_min_s, self.redelivery.backoff_max_s
            backoff_s = min(low * 2 ** max(0, record.failures - 1), high)
            key = self.key(position)
            if key and key not in done and backoff_s:
                self.backoffs[key] = now_s + backoff_s
                done.add(key)
            elif not key and backoff_s:
                record.not_before_s = tick(now_s + backoff_s)

    def publish(self, first: int, count: int, key: int) -> None:
        """Add the messages of one publish."""
        self.records.update({first + n: Record(key) for n in range(count)})

    def acked(self, positions: list[int]) -> None:
        """Take durable acks."""
        for position in positions:
            self.records[position].phase = "acked"
        left = {self.key(p) for p in self.having("waiting", *OUT)}
        self.backoffs = {key: until_s for key, until_s in self.backoffs.items() if key in left}

    def unsettled(self, positions: list[int]) -> None:
        """Take back acks that could not be made durable."""
        for position in positions:
            if self.records[position].phase == "settling":
                self.records[position].phase = "leased"

    def extend(self, positions: list[int], deadline_s: float) -> None:
        """Move deadlines."""
        for position in positions:
            self.records[position].deadline_s = tick(deadline_s)

    def expire(self, now_s: float) -> int:
        """End the leases whose deadline has passed; return how many."""
        lost = [p for p in self.having("leased") if self.records[p].deadline_s <= now_s]
        self.fail(lost, now_s)
        return len(lost)

    def next_s(self, now_s: float) -> float:
        """Return when something happens by itself."""
        times = [self.records[p].deadline_s for p in self.having("leased")]
        times += [self.records[p].not_before_s for p in self.having("waiting")]
        times += self.backoffs.values()
        return min((each for each in times if each > now_s), default=math.inf)

    def runs(self, base: int) -> list[tuple[int, int, int]] | None:
        """Return start, stop and key of what is not acked; None if nothing is ordered."""
        if not self.ordered:
            return None
        return [(p, p + 1, self.records[p].key) for p in self.having("waiting", *OUT) if p >= base]

    def restart(self) -> None:
        """Forget all that is volatile."""
        for position, record in self.records.items():
            if record.phase != "acked":
                self.records[position] = Record(record.key)
        self.backoffs.clear()


def tick(deadline_s: float) -> float:
    """Return a deadline as the broker keeps it."""
    return math.ceil(deadline_s / DEADLINE_TICK_S) * DEADLINE_TICK_S
