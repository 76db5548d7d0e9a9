"""User state and the runner's own cells, as harnesses read and write them."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from apache_beam.transforms.window import FixedWindows, GlobalWindow, GlobalWindows, IntervalWindow

from runners.local.expiry import MAX_US, Scope
from runners.local.internals import beam_fn_api_pb2
from runners.local.keys import state_of_step
from runners.local.state import StateService, bag_token
from runners.local.store import Bag, Store

StateKey = beam_fn_api_pb2.StateKey
MIB = 1 << 20
S = 1_000_000

FIXED = FixedWindows(60).get_window_coder()
GLOBAL = GlobalWindows().get_window_coder()
SCOPES = {
    "fixed": Scope(FIXED.get_impl()),
    "late": Scope(FIXED.get_impl(), lateness_us=30 * S),
    "global": Scope(GLOBAL.get_impl()),
    "kept": Scope(FIXED.get_impl(), expires=False),
}
MINUTE = FIXED.encode(IntervalWindow(0, 60))
NEXT = FIXED.encode(IntervalWindow(60, 120))
EVER = GLOBAL.encode(GlobalWindow())


@pytest.fixture
def store() -> Iterator[Store]:
    """A store of its own, within a transaction."""
    store = Store.open(None)
    store.begin()
    yield store
    store.close()


@pytest.fixture
def state(store: Store) -> StateService:
    """State on the store."""
    return service(store)


def service(store: Store) -> StateService:
    """Return state on a store."""
    return StateService(store, threading.RLock(), SCOPES)


def bag(step: str = "fixed", window: bytes = MINUTE, name: str = "s", key: bytes = b"k") -> Any:
    """Return the key of a bag."""
    return StateKey(
        bag_user_state=StateKey.BagUserState(
            transform_id=step, window=window, user_state_id=name, key=key
        )
    )


def lent(key: bytes) -> Any:
    """Return a key of the runner."""
    return StateKey(runner=StateKey.Runner(key=key))


def whole(state: StateService, key: Any) -> bytes:
    """Return all pages of a key."""
    return b"".join(pages(state, key))


def pages(state: StateService, key: Any) -> list[bytes]:
    """Return the pages of a key."""
    data, token = state.get_raw(key)
    found = [data]
    while token:
        data, token = state.get_raw(key, token)
        found.append(data)
    return found


# --- bags ---------------------------------------------------------------------------------------


def test_bag_is_read_in_order_of_writing(state: StateService) -> None:
    """What is appended is read in order; a cleared bag is empty and can be filled again."""
    assert state.get_raw(bag()) == (b"", None)
    for data in (b"one", b"two", b"three"):
        assert state.append_raw(bag(), data).wait(0)
    assert state.get_raw(bag()) == (b"onetwothree", None)
    assert state.clear(bag()).wait(0)
    assert state.get_raw(bag()) == (b"", None)
    state.append_raw(bag(), b"four")
    assert state.get_raw(bag(), b"") == (b"four", None)


def test_bags_are_apart_by_each_part_of_the_key(state: StateService) -> None:
    """Step, window, name and key each tell one bag from another."""
    keys = [bag(), bag(step="late"), bag(window=NEXT), bag(name="s2"), bag(key=b"k2")]
    for number, key in enumerate(keys):
        state.append_raw(key, b"%d" % number)
    state.clear(keys[0])
    assert [whole(state, key) for key in keys] == [b"", b"1", b"2", b"3", b"4"]


def test_large_bag_comes_in_pages_of_whole_rows(state: StateService) -> None:
    """A page ends after the row that fills it, so that elements are never cut; none is lost."""
    rows = [bytes([number]) * (3 * MIB) for number in range(7)]
    for row in rows:
        state.append_raw(bag(), row)
    found = pages(state, bag())
    assert found == [b"".join(rows[:3]), b"".join(rows[3:6]), rows[6]]


def test_readers_of_one_bag_do_not_disturb_each_other(state: StateService) -> None:
    """Tokens are of no reader: a second one may begin, and stop, while the first goes on."""
    for number in range(4):
        state.append_raw(bag(), bytes([number]) * (5 * MIB))
    first, token = state.get_raw(bag())
    assert state.get_raw(bag())[0] == first
    assert len(state.get_raw(bag(), token)[0]) == 10 * MIB
    assert state.get_raw(bag(), token) == state.get_raw(bag(), token)


def test_many_small_rows_become_one(state: StateService, store: Store) -> None:
    """A bag of many small rows is written anew when it is read, with the same content."""
    expected = b"".join(b"%06d" % number for number in range(1_500))
    for number in range(1_500):
        state.append_raw(bag(), b"%06d" % number)
    (cell,) = store.cells(state_of_step("fixed"))
    assert len(store.read(cell)) == 1_500
    assert whole(state, bag()) == expected
    assert len(store.read(cell)) == 1
    state.append_raw(bag(), b"more")
    assert whole(state, bag()) == expected + b"more"


def test_bag_survives_a_restart_and_not_a_rollback(tmp_path: Path) -> None:
    """What was committed is there when the folder is opened again; the rest never was."""
    store = Store.open(str(tmp_path / "state"))
    store.begin()
    service(store).append_raw(bag(), b"kept")
    store.commit()
    store.begin()
    service(store).append_raw(bag(), b"lost")
    service(store).clear(bag(key=b"other"))
    store.close()
    store = Store.open(str(tmp_path / "state"))
    assert service(store).get_raw(bag()) == (b"kept", None)
    store.close()


def test_threads_share_the_state(state: StateService) -> None:
    """Harnesses in other processes come through threads: each finds what it wrote, in order."""

    def work(number: int) -> None:
        key = bag(key=b"%d" % number)
        for step in range(200):
            state.append_raw(key, b"%03d" % step)
            state.append_raw(bag(key=b"all"), b"%d" % number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    expected = b"".join(b"%03d" % step for step in range(200))
    assert [whole(state, bag(key=b"%d" % number)) for number in range(4)] == [expected] * 4
    assert sorted(whole(state, bag(key=b"all"))) == sorted(b"0123" * 200)


def test_state_of_a_kind_that_python_has_not_is_refused(state: StateService) -> None:
    """A kind that no Python step uses is named in the error, and nothing is written."""
    key = StateKey(multimap_user_state=StateKey.MultimapUserState(transform_id="fixed"))
    for use in (state.get_raw, state.clear, lambda key: state.append_raw(key, b"")):
        with pytest.raises(NotImplementedError, match="multimap_user_state"):
            use(key)
    with pytest.raises(NotImplementedError, match="multimap_side_input can't be written"):
        state.append_raw(StateKey(multimap_side_input=StateKey.MultimapSideInput()), b"")


# --- expiry -------------------------------------------------------------------------------------


def test_window_expires_with_its_end(state: StateService) -> None:
    """State is there until the watermark reaches the window's end, and then of that window only."""
    state.append_raw(bag(), b"a")
    state.append_raw(bag(name="other", key=b"k2"), b"b")
    state.append_raw(bag(window=NEXT), b"c")
    assert state.expire("fixed", 60 * S - 1) == []
    assert whole(state, bag()) == b"a"
    assert state.expire("fixed", 60 * S) == [MINUTE]
    assert whole(state, bag()) + whole(state, bag(name="other", key=b"k2")) == b""
    assert whole(state, bag(window=NEXT)) == b"c"
    assert state.expire("fixed", 60 * S) == []


def test_late_elements_find_the_state(state: StateService) -> None:
    """Allowed lateness is added to the life of a window."""
    state.append_raw(bag("late"), b"a")
    assert state.expire("late", 90 * S - 1) == []
    assert state.expire("late", 90 * S) == [MINUTE]


def test_window_touched_after_its_end_expires_too(state: StateService) -> None:
    """State that comes after all is removed the next time."""
    state.append_raw(bag(), b"a")
    assert state.expire("fixed", 100 * S) == [MINUTE]
    state.append_raw(bag(), b"late")
    assert state.expire("fixed", 100 * S) == [MINUTE]
    assert whole(state, bag()) == b""


def test_global_window_ends_with_the_input(state: StateService, store: Store) -> None:
    """State in the global window, and of steps that let nothing expire, is there to the end."""
    keys = [bag("global", EVER), bag("kept")]
    for key in keys:
        state.append_raw(key, b"a")
    for step in ("global", "kept"):
        assert state.expire(step, MAX_US - 1) == []
    assert [whole(state, key) for key in keys] == [b"a", b"a"]
    for step in ("global", "kept"):
        state.expire(step, MAX_US)
    assert store.cells(b"") == []


def test_expiry_is_registered_again_after_a_rollback(state: StateService, store: Store) -> None:
    """A window first touched in an epoch that failed expires when its retry has touched it."""
    state.append_raw(bag(), b"a")
    store.rollback()
    state.reload()
    store.begin()
    state.append_raw(bag(), b"a")
    assert state.expire("fixed", 60 * S) == [MINUTE]
    assert whole(state, bag()) == b""


def test_windows_expire_after_a_restart(state: StateService, store: Store) -> None:
    """The list of windows is as durable as their state."""
    state.append_raw(bag(), b"a")
    restarted = service(store)
    assert restarted.expire("fixed", 60 * S) == [MINUTE]
    assert whole(restarted, bag()) == b""


# --- the runner's keys --------------------------------------------------------------------------


def test_bag_of_a_grouping_is_read_by_its_token(state: StateService, store: Store) -> None:
    """A token names a cell up to a row: what came later isn't seen; pages are as of user state."""
    rows = [bytes([number]) * (5 * MIB) for number in range(3)]
    upto = [store.append(b"group\0cell", row) for row in rows][-1]
    store.append(b"group\0cell", b"later")
    token = bag_token(Bag(b"group\0cell", upto, count=3, nbytes=15 * MIB, owned=True))
    assert pages(state, lent(token)) == [rows[0] + rows[1], rows[2]]


def test_lent_cells_are_forgotten(state: StateService, store: Store) -> None:
    """What is written under other keys of the runner serves until it is forgotten."""
    state.append_raw(lent(b"iter_1"), b"one")
    state.append_raw(lent(b"iter_1"), b"two")
    state.append_raw(bag(), b"user")
    assert state.get_raw(lent(b"iter_1")) == (b"onetwo", None)
    state.forget_runner_cells()
    assert state.get_raw(lent(b"iter_1")) == (b"", None)
    assert whole(state, bag()) == b"user"
    state.append_raw(lent(b"iter_2"), b"x")
    state.clear(lent(b"iter_2"))
    assert state.get_raw(lent(b"iter_2")) == (b"", None)


def test_cells_lent_before_a_crash_are_forgotten(state: StateService, store: Store) -> None:
    """A new process removes what an old one may have left."""
    state.append_raw(lent(b"iter_1"), b"one")
    restarted = service(store)
    restarted.forget_runner_cells()
    assert store.cells(b"") == []


def test_instruction_needs_nothing(state: StateService) -> None:
    """A bundle is entered and left, and the end of a harness leaves the state usable."""
    with state.process_instruction_id("bundle"):
        state.append_raw(bag(), b"a")
    state.done()
    assert whole(state, bag()) == b"a"
