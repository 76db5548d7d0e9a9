"""The windows of a step, by the time that they are over."""

from collections.abc import Iterator

import pytest
from apache_beam.transforms.window import FixedWindows, GlobalWindow, IntervalWindow
from apache_beam.utils.timestamp import MAX_TIMESTAMP

from runners.local import expiry as expiry_module
from runners.local.expiry import MAX_US, Expiry, Scope, expiry_us
from runners.local.keys import bag_state, join, timer_owner
from runners.local.store import Store
from runners.local.timers import EVENT_TIME

S = 1_000_000
FIXED = FixedWindows(60).get_window_coder()
FIRST, SECOND = FIXED.encode(IntervalWindow(0, 60)), FIXED.encode(IntervalWindow(60, 120))


@pytest.fixture
def store() -> Iterator[Store]:
    """A store of its own, within a transaction."""
    store = Store.open(None)
    store.begin()
    yield store
    store.close()


@pytest.fixture
def expiry(store: Store) -> Expiry:
    """The windows of a step."""
    return Expiry(store, {"t": Scope(FIXED.get_impl(), lateness_us=5 * S)})


def test_window_ends_with_lateness_and_never_after_time_itself() -> None:
    """A window is over at its end and the allowed lateness, at the last time at the latest."""
    assert expiry_us(IntervalWindow(0, 60), 0) == 60 * S
    assert expiry_us(IntervalWindow(0, 60), 5 * S) == 65 * S
    assert expiry_us(IntervalWindow(0, 60), 1 << 70) == MAX_US
    assert expiry_us(IntervalWindow(0, MAX_TIMESTAMP), 5 * S) == MAX_US
    assert expiry_us(GlobalWindow(), 0) <= MAX_US


def test_window_is_written_as_in_state_keys(expiry: Expiry) -> None:
    """A window and its encoding, which a runner without the user's coder has, are the same."""
    assert expiry.window_bytes("t", IntervalWindow(0, 60)) == FIRST
    assert expiry.window_bytes("t", FIRST) == FIRST


def test_windows_are_over_one_by_one(expiry: Expiry) -> None:
    """Each window is returned once, when its time has come, several in order of time."""
    for window in (SECOND, FIRST, FIRST):
        expiry.touch("t", window)
    assert expiry.expire("t", 65 * S - 1) == []
    assert expiry.expire("t", 65 * S) == [FIRST]
    expiry.touch("t", FIRST)
    assert expiry.expire("t", 125 * S) == [FIRST, SECOND]
    assert expiry.expire("t", MAX_US) == []


def test_windows_that_are_not_remembered_still_expire(
    expiry: Expiry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Memory is bounded: what is forgotten of the store is written to it once more, no worse."""
    monkeypatch.setattr(expiry_module, "_KNOWN_MAX", 3)
    windows = [FIXED.encode(IntervalWindow(60 * n, 60 * n + 60)) for n in range(10)]
    for window in windows * 2:
        expiry.touch("t", window)
    assert expiry.expire("t", 1_000 * S) == windows


def test_many_windows_expire_at_once(expiry: Expiry) -> None:
    """After a long pause any number of windows is over."""
    windows = [FIXED.encode(IntervalWindow(60 * n, 60 * n + 60)) for n in range(2_500)]
    for window in windows:
        expiry.touch("t", window)
    assert expiry.expire("t", MAX_US - 1) == windows


def test_step_without_scope_keeps_its_state_to_the_end(store: Store, expiry: Expiry) -> None:
    """Of a step that isn't known nothing expires before the end of its input."""
    cell = bag_state("x", b"any", "s", b"k")
    store.append(cell, b"data")
    expiry.touch("x", b"any")
    assert expiry.expire("x", MAX_US - 1) == []
    assert store.read(cell)
    assert expiry.expire("x", MAX_US) == []
    assert not store.read(cell)


def test_timers_that_are_due_keep_their_window(store: Store, expiry: Expiry) -> None:
    """It doesn't matter whether windows or timers are looked at first when the watermark moves."""
    owner, slot = timer_owner("t"), join(FIRST, b"k")
    store.set_timer(owner, slot, domain=EVENT_TIME, fire_us=10 * S, hold_us=None, data=b"")
    cell = bag_state("t", FIRST, "s", b"k")
    store.append(cell, b"data")
    expiry.touch("t", FIRST)
    assert expiry.expire("t", MAX_US) == []
    assert store.read(cell)
    store.clear_timer(owner, slot)
    assert expiry.expire("t", MAX_US) == [FIRST]
    assert not store.read(cell)
