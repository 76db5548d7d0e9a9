"""User timers: set, cleared, due, expired."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from apache_beam import coders
from apache_beam.transforms.userstate import Timer
from apache_beam.transforms.window import FixedWindows, GlobalWindow, GlobalWindows, IntervalWindow
from apache_beam.utils.timestamp import MAX_TIMESTAMP, MIN_TIMESTAMP, Timestamp
from apache_beam.utils.windowed_value import PANE_INFO_UNKNOWN, PaneInfo

from runners.local.expiry import MAX_US, Expiry, Scope
from runners.local.internals import coders as beam_coders
from runners.local.store import Store
from runners.local.timers import EVENT_TIME, PROCESSING_TIME, TimerFamily, UserTimers

S = 1_000_000
MS = 1_000
FIRST, SECOND = IntervalWindow(0, 60), IntervalWindow(60, 120)
FIXED = FixedWindows(60).get_window_coder()
GLOBAL = GlobalWindows().get_window_coder()
CODER = beam_coders._TimerCoder(coders.StrUtf8Coder(), FIXED).get_impl()
GLOBAL_CODER = beam_coders._TimerCoder(coders.StrUtf8Coder(), GLOBAL).get_impl()
FAMILIES = {
    ("t", "event"): TimerFamily(CODER, EVENT_TIME),
    ("t", "event2"): TimerFamily(CODER, EVENT_TIME),
    ("t", "clock"): TimerFamily(CODER, PROCESSING_TIME),
    ("u", "event"): TimerFamily(CODER, EVENT_TIME),
    ("g", "event"): TimerFamily(GLOBAL_CODER, EVENT_TIME),
    ("g", "clock"): TimerFamily(GLOBAL_CODER, PROCESSING_TIME),
}
SCOPES = {
    "t": Scope(FIXED.get_impl()),
    "u": Scope(FIXED.get_impl()),
    "g": Scope(GLOBAL.get_impl()),
}


@pytest.fixture
def store() -> Iterator[Store]:
    """A store of its own, within a transaction."""
    store = Store.open(None)
    store.begin()
    yield store
    store.close()


@pytest.fixture
def expiry(store: Store) -> Expiry:
    """The windows in the store."""
    return Expiry(store, SCOPES)


@pytest.fixture
def timers(store: Store, expiry: Expiry) -> UserTimers:
    """Timers in the store."""
    return UserTimers(store, FAMILIES, expiry)


def timer(
    fire_s: float | None,
    key: str = "k",
    tag: str = "",
    window: Any = FIRST,
    *,
    hold_s: float | None = None,
    pane: PaneInfo = PANE_INFO_UNKNOWN,
) -> Timer:
    """Return a timer as the harness makes it; one that clears for no time."""
    if fire_s is None:
        return Timer(key, tag, (window,), True, None, None, None)
    fire, hold = Timestamp(fire_s), Timestamp(fire_s if hold_s is None else hold_s)
    return Timer(key, tag, (window,), False, fire, hold, pane)


def record(timers: UserTimers, step: str, family: str, *written: Timer) -> None:
    """Let a bundle of a step have written timers."""
    impl = FAMILIES[step, family].coder_impl
    timers.record(step, family, b"".join(map(impl.encode_nested, written)))


def due(
    timers: UserTimers, watermark_s: float, now_s: float = 0, step: str = "t", limit: int = 100
) -> list[tuple[str, list[Timer]]]:
    """Return one round of due timers, decoded, by family."""
    found = timers.take_due([step], int(watermark_s * S), int(now_s * S), limit)
    return sorted(
        (family, list(FAMILIES[step, family].coder_impl.decode_all(data)))
        for (_, family), data in found.items()
    )


def rounds(timers: UserTimers, watermark_s: float, now_s: float = 0, limit: int = 100) -> list[Any]:
    """Return key, tag and time of due timers, round by round."""
    found = []
    while families := due(timers, watermark_s, now_s, limit=limit):
        found.append(
            sorted(
                (timer.user_key, timer.dynamic_timer_tag, float(timer.fire_timestamp))
                for _, fired in families
                for timer in fired
            )
        )
    return found


# --- setting and clearing -----------------------------------------------------------------------


def test_timer_fires_once_at_its_time(timers: UserTimers) -> None:
    """A timer is due when the watermark has reached it, not a millisecond before, and once."""
    record(timers, "t", "event", timer(10))
    assert due(timers, 9.999) == []
    assert due(timers, 10) == [("event", [timer(10)])]
    assert due(timers, 10) == []


def test_all_of_a_timer_comes_back(timers: UserTimers) -> None:
    """Key, tag, window, times and pane are given back as they were set."""
    pane = PaneInfo(True, False, 1, 3, -1)
    set_to = timer(30.125, "key", "tag", SECOND, hold_s=12.5, pane=pane)
    record(timers, "t", "event", set_to)
    assert due(timers, 31) == [("event", [set_to])]


def test_last_word_of_a_bundle_counts(timers: UserTimers) -> None:
    """A timer set again has the new time only; a cleared one none; others are not touched."""
    record(timers, "t", "event", timer(10), timer(20), timer(5, "other"))
    record(timers, "t", "event2", timer(10), timer(None))
    record(timers, "u", "event", timer(None), timer(15))
    assert rounds(timers, 19) == [[("other", "", 5.0)]]
    assert due(timers, 19, step="u") == [("event", [timer(15)])]
    assert rounds(timers, 20) == [[("k", "", 20.0)]]


def test_timer_is_set_and_cleared_across_bundles(timers: UserTimers) -> None:
    """What one bundle has set, a later one sets anew, to an earlier time as well, or clears."""
    record(timers, "t", "event", timer(50, tag="moved"), timer(50, tag="gone"))
    record(timers, "t", "event", timer(10, tag="moved"), timer(None, tag="gone"))
    record(timers, "t", "event", timer(None, tag="never set"))
    assert rounds(timers, 60) == [[("k", "moved", 10.0)]]


def test_timers_are_apart_by_each_part(timers: UserTimers) -> None:
    """Step, family, key, window and tag each tell one timer from another."""
    for step, family in (("t", "event"), ("t", "event2"), ("u", "event")):
        for key in ("k", "k2"):
            for window in (FIRST, SECOND):
                both = timer(1, key, "a", window), timer(1, key, "ab", window)
                record(timers, step, family, *both)
    record(timers, "t", "event", timer(None, "k", "a", FIRST))
    fired = due(timers, 1)
    assert [(family, len(found)) for family, found in fired] == [("event", 7), ("event2", 8)]
    assert [(family, len(found)) for family, found in due(timers, 1, step="u")] == [("event", 8)]


def test_nothing_written_is_nothing_set(timers: UserTimers) -> None:
    """A bundle without timers leaves all as it is."""
    record(timers, "t", "event")
    assert timers.hold_us("t") is None
    assert due(timers, 100) == []


# --- what is due --------------------------------------------------------------------------------


def test_earliest_of_a_key_comes_first(timers: UserTimers) -> None:
    """Of a key and window only the earliest come at once: their callbacks may change the rest."""
    record(timers, "t", "event", timer(30), timer(10, tag="a"), timer(10, tag="b"))
    record(timers, "t", "event2", timer(20))
    record(timers, "t", "event", timer(40, "k2"), timer(50, window=SECOND))
    assert rounds(timers, 100) == [
        [("k", "", 50.0), ("k", "a", 10.0), ("k", "b", 10.0), ("k2", "", 40.0)],
        [("k", "", 20.0)],
        [("k", "", 30.0)],
    ]


def test_callback_clears_a_timer_that_was_due_too(timers: UserTimers) -> None:
    """A timer cleared, or put off, by the callback of an earlier one doesn't fire at its time."""
    record(timers, "t", "event", timer(10), timer(20, tag="cleared"), timer(30, tag="put off"))
    assert [found for _, found in due(timers, 50)] == [[timer(10)]]
    record(timers, "t", "event", timer(None, tag="cleared"), timer(60, tag="put off"))
    assert due(timers, 50) == []
    assert rounds(timers, 60) == [[("k", "put off", 60.0)]]


def test_looping_timer_fires_step_by_step(timers: UserTimers) -> None:
    """A timer that sets itself anew fires at each of its times, in order with the others."""
    record(timers, "t", "event", timer(0), timer(25, tag="other"))
    order = []
    while families := due(timers, 40):
        ((_, (fired,)),) = families
        order.append((fired.dynamic_timer_tag, float(fired.fire_timestamp)))
        if not fired.dynamic_timer_tag:
            record(timers, "t", "event", timer(float(fired.fire_timestamp) + 10))
    assert order == [("", 0.0), ("", 10.0), ("", 20.0), ("other", 25.0), ("", 30.0), ("", 40.0)]


def test_timers_of_the_clock_are_due_by_the_clock(timers: UserTimers) -> None:
    """Processing time makes its timers due whatever the watermark, and no others."""
    record(timers, "t", "clock", timer(10), timer(20, "k2"))
    record(timers, "t", "event", timer(5, "k3"))
    assert timers.next_time_us(["t", "u"]) == 10 * S
    assert due(timers, 0, now_s=9.999) == []
    assert due(timers, 4, now_s=10) == [("clock", [timer(10)])]
    assert timers.next_time_us(["t", "u"]) == 20 * S
    assert due(timers, 100, now_s=19.999) == [("event", [timer(5, "k3")])]
    assert due(timers, 100, now_s=20) == [("clock", [timer(20, "k2")])]
    assert timers.next_time_us(["t", "u"]) is None


def test_domains_of_a_key_do_not_mix(timers: UserTimers) -> None:
    """A key's callback in event time may clear its timer in processing time, which waits."""
    record(timers, "t", "clock", timer(1))
    record(timers, "t", "event", timer(50))
    assert due(timers, 60, now_s=60) == [("event", [timer(50)])]
    record(timers, "t", "clock", timer(None))
    assert due(timers, 60, now_s=60) == []


@pytest.mark.parametrize("limit", [1, 7, 255, 256, 10_000])
def test_limit_loses_nothing(timers: UserTimers, limit: int) -> None:
    """However few timers are taken at a time, each comes once, those of a key in order."""
    written = [timer(number % 50, f"k{number % 400}", str(number)) for number in range(2_000)]
    record(timers, "t", "event", *written)
    order: list[tuple[str, str, float]] = []
    for fired in rounds(timers, 60, limit=limit):
        assert len(fired) <= limit
        order += fired
    expected = sorted((w.user_key, w.dynamic_timer_tag, float(w.fire_timestamp)) for w in written)
    assert sorted(order) == expected
    for key in {key for key, _, _ in order}:
        times = [time for fired, _, time in order if fired == key]
        assert times == sorted(times)


def test_steps_of_a_stage_share_the_limit(timers: UserTimers) -> None:
    """Timers of several steps are taken together, up to the limit in all."""
    for step in ("t", "u"):
        record(timers, step, "event", *(timer(1, f"k{number}") for number in range(6)))
    counts = []
    while found := timers.take_due(["t", "u"], S, 0, 4):
        counts.append(sum(len(list(CODER.decode_all(data))) for data in found.values()))
    assert counts == [4, 4, 4]


def test_first_event_timer_is_known(timers: UserTimers) -> None:
    """Whether anything is due by a watermark is known without taking it."""
    record(timers, "t", "clock", timer(1))
    assert not timers.any_event_timers(["t", "u"], MAX_US)
    record(timers, "u", "event", timer(10))
    assert not timers.any_event_timers(["t", "u"], 10 * S - 1)
    assert timers.any_event_timers(["t", "u"], 10 * S)


def test_times_at_the_ends_of_time(timers: UserTimers) -> None:
    """The first and the last time that Beam knows are times of timers like others."""
    for tag, time in (("min", MIN_TIMESTAMP), ("max", MAX_TIMESTAMP)):
        both = Timer("k", tag, (GlobalWindow(),), False, time, time, PANE_INFO_UNKNOWN)
        record(timers, "g", "event", both)
    assert timers.hold_us("g") == MIN_TIMESTAMP.micros
    (first,) = due(timers, 0, step="g")
    assert first[1][0].dynamic_timer_tag == "min"
    assert timers.hold_us("g") == GlobalWindow().max_timestamp().micros
    assert timers.take_due(["g"], MAX_US - 1, 0, 10) == {}
    assert list(timers.take_due(["g"], MAX_US, 0, 10)) == [("g", "event")]


# --- holds --------------------------------------------------------------------------------------


def test_timers_hold_the_watermark(timers: UserTimers) -> None:
    """The earliest output time of a step's timers holds it, in both domains, until they fire."""
    assert timers.hold_us("t") is None
    record(timers, "t", "event", timer(30, hold_s=30))
    record(timers, "t", "clock", timer(1_000, "k2", hold_s=20))
    assert (timers.hold_us("t"), timers.hold_us("u")) == (20 * S, None)
    due(timers, 0, now_s=1_000)
    assert timers.hold_us("t") == 30 * S
    record(timers, "t", "event", timer(None))
    assert timers.hold_us("t") is None


@pytest.mark.parametrize(
    ("lateness_s", "fire_s", "hold_us"),
    [
        (0, 59, 59 * S),
        (0, 60, 60 * S - 1),
        (0, 75, 60 * S - 1),
        (30, 60, 60 * S - 1),
        (30, 75, 75 * S),
        (30, 90, 90 * S - 1),
        (30, 200, 90 * S - 1),
    ],
)
def test_what_a_timer_gives_is_not_late(
    store: Store, lateness_s: int, fire_s: int, hold_us: int
) -> None:
    """One for the end of the window holds what lies in it, and none holds what is dropped."""
    scopes = {"t": Scope(FIXED.get_impl(), lateness_us=lateness_s * S)}
    timers = UserTimers(store, FAMILIES, Expiry(store, scopes))
    record(timers, "t", "event", timer(fire_s))
    assert timers.hold_us("t") == hold_us


def test_timers_survive_a_restart_and_not_a_rollback(tmp_path: Path) -> None:
    """Timers and holds are as durable as the epoch that set them."""
    store = Store.open(str(tmp_path / "state"))
    store.begin()
    timers = UserTimers(store, FAMILIES, Expiry(store, SCOPES))
    record(timers, "t", "event", timer(10), timer(20, "k2"))
    store.commit()
    store.begin()
    due(timers, 15)
    record(timers, "t", "event", timer(1, "lost"))
    store.close()
    store = Store.open(str(tmp_path / "state"))
    store.begin()
    timers = UserTimers(store, FAMILIES, Expiry(store, SCOPES))
    assert timers.hold_us("t") == 10 * S
    assert rounds(timers, 60) == [[("k", "", 10.0), ("k2", "", 20.0)]]
    store.close()


# --- windows that are over ----------------------------------------------------------------------


def test_expired_window_loses_its_timers(timers: UserTimers, expiry: Expiry) -> None:
    """A timer of the clock doesn't fire in a window that is over; those of other windows do."""
    record(timers, "t", "clock", timer(1_000), timer(1_000, "k2", window=SECOND))
    assert expiry.expire("t", 60 * S - 1) == []
    assert expiry.expire("t", 60 * S) == [FIXED.encode(FIRST)]
    assert due(timers, 60, now_s=1_000) == [("clock", [timer(1_000, "k2", window=SECOND)])]


def test_timers_of_a_window_are_removed_by_name(timers: UserTimers) -> None:
    """The kernel can remove the timers of a window itself."""
    record(timers, "t", "event", timer(10), timer(10, window=SECOND))
    timers.expire("t", FIXED.encode(FIRST))
    assert due(timers, 60) == [("event", [timer(10, window=SECOND)])]


def test_event_timers_keep_their_window(timers: UserTimers, expiry: Expiry) -> None:
    """A window lives until its event-time timers have fired, though they lie beyond its end."""
    record(timers, "t", "event", timer(90))
    assert expiry.expire("t", 60 * S) == expiry.expire("t", 90 * S) == []
    assert due(timers, 90) == [("event", [timer(90)])]
    assert expiry.expire("t", 90 * S) == [FIXED.encode(FIRST)]


def test_cleared_timer_lets_its_window_go(timers: UserTimers, expiry: Expiry) -> None:
    """A window whose late timer was cleared is over as soon as that is looked at again."""
    record(timers, "t", "event", timer(90))
    assert expiry.expire("t", 60 * S) == []
    record(timers, "t", "event", timer(None))
    assert expiry.expire("t", 90 * S) == [FIXED.encode(FIRST)]


def test_end_of_the_input_waits_for_the_clock(timers: UserTimers, expiry: Expiry) -> None:
    """When a bounded input is over its timers of the clock still fire, with their state there."""
    record(timers, "t", "clock", timer(1_000))
    record(timers, "g", "clock", timer(1_000, window=GlobalWindow()))
    assert expiry.expire("t", MAX_US) == expiry.expire("g", MAX_US) == []
    assert [found for _, found in due(timers, 0, now_s=1_000)] == [[timer(1_000)]]
    assert expiry.expire("t", MAX_US) == [FIXED.encode(FIRST)]
    assert [len(found) for _, found in due(timers, 0, now_s=1_000, step="g")] == [1]
