"""User timers do what a dict of timers does, through failed epochs and restarts."""

import shutil
import tempfile
from dataclasses import dataclass, replace
from typing import Any

from apache_beam import coders
from apache_beam.transforms.userstate import Timer
from apache_beam.transforms.window import FixedWindows, IntervalWindow
from apache_beam.utils.timestamp import Timestamp
from apache_beam.utils.windowed_value import PANE_INFO_UNKNOWN
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from runners.local.expiry import Expiry, Scope
from runners.local.internals import coders as beam_coders
from runners.local.store import Store
from runners.local.timers import EVENT_TIME, PROCESSING_TIME, TimerFamily, UserTimers

S = 1_000_000
STEP = "step"
FIXED = FixedWindows(10).get_window_coder()
CODER = beam_coders._TimerCoder(coders.StrUtf8Coder(), FIXED).get_impl()
DOMAINS = {"e": EVENT_TIME, "f": EVENT_TIME, "p": PROCESSING_TIME}
SCOPES = {STEP: Scope(FIXED.get_impl(), lateness_us=2 * S)}

WINDOWS = [IntervalWindow(0, 10), IntervalWindow(10, 20)]
# Keys and tags that would be confused if they were only written one behind the other.
KEYS = st.sampled_from(["", "k", "kk"])
TAGS = st.sampled_from(["", "k", "t"])
TIMES = st.integers(0, 25)
AFTER_ALL_S = 1_000


@dataclass(frozen=True)
class Name:
    """What makes a timer the same timer."""

    window: Any
    key: str
    family: str
    tag: str


Timers = dict[Name, tuple[int, int]]  # when it fires and what it holds, in seconds


@dataclass(frozen=True)
class Model:
    """What is known of timers, as plainly as possible."""

    timers: Timers
    touched: frozenset[Any]

    def due(self, watermark_s: int, now_s: int) -> Timers:
        """Return the timers of one round, however many."""
        until = {EVENT_TIME: watermark_s, PROCESSING_TIME: now_s}
        ripe = {n: t for n, t in self.timers.items() if t[0] <= until[DOMAINS[n.family]]}
        first: dict[Any, tuple[int, int]] = {}
        for name, (fire_s, _) in ripe.items():
            rank = DOMAINS[name.family], fire_s
            owner = name.window, name.key
            first[owner] = min(first.get(owner, rank), rank)
        return {
            name: times
            for name, times in ripe.items()
            if (DOMAINS[name.family], times[0]) == first[name.window, name.key]
        }

    def ended(self, watermark_s: int) -> set[Any]:
        """Return the windows whose time is over."""
        return {window for window in self.touched if int(window.end) + 2 <= watermark_s}

    def awaited(self) -> set[Any]:
        """Return the windows that event-time timers keep."""
        return {name.window for name in self.timers if DOMAINS[name.family] == EVENT_TIME}


def held_us(window: Any, hold_s: int) -> int:
    """What a timer gives is in time: for a hold at the end of a window that is its last moment."""
    end_us = int(window.end) * S
    closed_us = end_us + 2 * S
    return end_us - 1 if hold_s * S == end_us else min(hold_s * S, closed_us - 1)


class TimersAgainstDict(RuleBasedStateMachine):
    """Bundles set and clear, timers fire, windows end, epochs fail, the process dies."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.mkdtemp()
        self.model = self.committed = Model({}, frozenset())
        self.kept: set[Any] = set()
        self.open()

    def open(self) -> None:
        """Open the store and begin an epoch."""
        self.store = Store.open(self.folder)
        self.expiry = Expiry(self.store, SCOPES)
        families = {
            (STEP, family): TimerFamily(CODER, domain) for family, domain in DOMAINS.items()
        }
        self.timers = UserTimers(self.store, families, self.expiry)
        self.store.begin()

    @rule(
        family=st.sampled_from(sorted(DOMAINS)),
        written=st.lists(
            st.tuples(st.sampled_from(WINDOWS), KEYS, TAGS, st.none() | TIMES, TIMES), max_size=8
        ),
    )
    def record(self, family: str, written: list[tuple[Any, str, str, int | None, int]]) -> None:
        """A bundle has set and cleared timers."""
        timers = dict(self.model.timers)
        # Only what a bundle leaves set is seen: a timer set and cleared in it never was.
        left: dict[Name, int | None] = {}
        data = b""
        for window, key, tag, fire_s, hold_s in written:
            name = Name(window, key, family, tag)
            left[name] = fire_s
            if fire_s is None:
                timers.pop(name, None)
                encoded = Timer(key, tag, (window,), True, None, None, None)
            else:
                timers[name] = fire_s, hold_s
                fire, hold = Timestamp(fire_s), Timestamp(hold_s)
                encoded = Timer(key, tag, (window,), False, fire, hold, PANE_INFO_UNKNOWN)
            data += CODER.encode_nested(encoded)
        self.timers.record(STEP, family, data)
        touched = {name.window for name, fire_s in left.items() if fire_s is not None}
        self.model = Model(timers, self.model.touched | touched)

    @rule(watermark_s=TIMES, now_s=TIMES, limit=st.sampled_from([1, 2, 3, 100]))
    def take(self, watermark_s: int, now_s: int, limit: int) -> None:
        """Timers fire: all of the round, or as many of it as may, the earliest of each key."""
        expected = self.model.due(watermark_s, now_s)
        taken = self.timers.take_due([STEP], watermark_s * S, now_s * S, limit)
        names = {}
        for (_, family), data in taken.items():
            fired = list(CODER.decode_all(data))
            times = [timer.fire_timestamp for timer in fired]
            assert times == sorted(times)
            for timer in fired:
                name = Name(timer.windows[0], timer.user_key, family, timer.dynamic_timer_tag)
                seconds = timer.fire_timestamp.micros // S, timer.hold_timestamp.micros // S
                names[name] = seconds
        assert names.items() <= expected.items()
        assert len(names) == min(limit, len(expected))
        left = {n: times for n, times in self.model.timers.items() if n not in names}
        self.model = replace(self.model, timers=left)

    @rule(watermark_s=TIMES | st.just(AFTER_ALL_S))
    def expire(self, watermark_s: int) -> None:
        """Windows end. One that was kept for a timer stays until that timer's time at most."""
        ended, awaited = self.model.ended(watermark_s), self.model.awaited()
        expired = self.expiry.expire(STEP, watermark_s * S)
        over = {FIXED.decode(window) for window in expired}
        assert len(over) == len(expired)
        assert over <= ended - awaited
        assert ended - awaited - over <= (self.kept if watermark_s < AFTER_ALL_S else set())
        self.kept |= ended & awaited
        left = {n: times for n, times in self.model.timers.items() if n.window not in over}
        self.model = Model(left, self.model.touched - over)

    @rule()
    def commit(self) -> None:
        """The epoch ends well."""
        self.store.commit()
        self.committed = self.model
        self.store.begin()

    @rule()
    def fail(self) -> None:
        """The epoch is taken back, in this process."""
        self.store.rollback()
        self.expiry.reload()
        self.model = self.committed
        self.store.begin()

    @rule()
    def die(self) -> None:
        """The process ends within an epoch, and another begins."""
        self.store.close()
        self.model = self.committed
        self.open()

    @invariant()
    def looks_the_same(self) -> None:
        """Holds and times are those of the timers that are set."""
        holds = [held_us(name.window, hold_s) for name, (_, hold_s) in self.model.timers.items()]
        assert self.timers.hold_us(STEP) == min(holds, default=None)
        of = {
            domain: [
                fire_s * S
                for name, (fire_s, _) in self.model.timers.items()
                if DOMAINS[name.family] == domain
            ]
            for domain in (EVENT_TIME, PROCESSING_TIME)
        }
        assert self.timers.next_time_us([STEP]) == min(of[PROCESSING_TIME], default=None)
        assert self.timers.any_event_timers([STEP], 12 * S) == any(
            fire_us <= 12 * S for fire_us in of[EVENT_TIME]
        )

    def teardown(self) -> None:
        """Remove the folder."""
        self.store.close()
        shutil.rmtree(self.folder)


TestTimersAgainstDict = TimersAgainstDict.TestCase
TestTimersAgainstDict.settings = settings(max_examples=150, stateful_step_count=40)
