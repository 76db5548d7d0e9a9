"""Side inputs in the state, read by the code of Beam's harness."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from apache_beam import coders, pvalue
from apache_beam.runners.worker.bundle_processor import StateBackedSideInputMap
from apache_beam.runners.worker.sdk_worker import GlobalCachingStateHandler
from apache_beam.runners.worker.statecache import StateCache
from apache_beam.transforms.window import (
    FixedWindows,
    GlobalWindow,
    GlobalWindows,
    IntervalWindow,
)
from apache_beam.utils.windowed_value import WindowedValue

from runners.local.expiry import MAX_US
from runners.local.internals import beam_fn_api_pb2, common_urns
from runners.local.state import StateService
from runners.local.store import Store

StateKey = beam_fn_api_pb2.StateKey
ITERABLE = common_urns.side_inputs.ITERABLE.urn
MULTIMAP = common_urns.side_inputs.MULTIMAP.urn
S = 1_000_000

WINDOWS = FixedWindows(60).get_window_coder()
KV = coders.TupleCoder((coders.StrUtf8Coder(), coders.StrUtf8Coder()))
VALUES = coders.WindowedValueCoder(coders.StrUtf8Coder(), WINDOWS)
ITEMS = coders.WindowedValueCoder(KV, WINDOWS)
FIRST, SECOND = IntervalWindow(0, 60), IntervalWindow(60, 120)


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
    return StateService(store, threading.RLock(), {})


def encoded(coder: Any, *elements: tuple[Any, list[Any]]) -> bytes:
    """Return values with their windows, encoded."""
    impl = coder.get_impl()
    return b"".join(
        impl.encode_nested(WindowedValue(value, 0, windows)) for value, windows in elements
    )


def add(state: StateService, *elements: tuple[Any, list[Any]], **options: int) -> None:
    """Add elements to the iterable side input."""
    state.add_side_input("t", "list", ITERABLE, VALUES, encoded(VALUES, *elements), **options)


def add_items(state: StateService, *elements: tuple[Any, list[Any]]) -> None:
    """Add elements to the multimap side input."""
    state.add_side_input("t", "map", MULTIMAP, ITEMS, encoded(ITEMS, *elements))


def view(state: StateService, pattern: str, coder: Any, window: Any, *, bulk: bool = False) -> Any:
    """Return what a step of Python's would see of a side input in a main window."""
    harness = GlobalCachingStateHandler(StateCache(0), state)
    tag = "list" if pattern == ITERABLE else "map"
    mapping = lambda main: main  # noqa: E731
    data = pvalue.SideInputData(pattern, mapping, lambda raw: raw)
    return StateBackedSideInputMap(harness, "t", tag, data, coder, bulk)[window]


def all_items(state: StateService, window: Any) -> dict[str, list[str]]:
    """Return a multimap as its stream of keys with values says; each key must come once."""
    key = StateKey.MultimapKeysValuesSideInput(
        transform_id="t", side_input_id="map", window=WINDOWS.encode(window)
    )
    coder = coders.TupleCoder((coders.StrUtf8Coder(), coders.IterableCoder(coders.StrUtf8Coder())))
    found = []
    token = None
    while True:
        data, token = state.get_raw(StateKey(multimap_keys_values_side_input=key), token)
        found += coder.get_impl().decode_all(data)
        if not token:
            assert len(dict(found)) == len(found)
            return {key: list(values) for key, values in found}


def test_iterable_is_kept_by_window(state: StateService) -> None:
    """Elements are seen in each of their windows, and what comes later behind the earlier."""
    add(state, ("a", [FIRST]), ("b", [FIRST, SECOND]))
    add(state, ("c", [SECOND]), ("d", [FIRST]))
    assert list(view(state, ITERABLE, VALUES, FIRST)) == ["a", "b", "d"]
    assert list(view(state, ITERABLE, VALUES, SECOND)) == ["b", "c"]
    assert list(view(state, ITERABLE, VALUES, IntervalWindow(120, 180))) == []


@pytest.mark.parametrize("bulk", [False, True])
def test_multimap_is_kept_by_window_and_key(state: StateService, bulk: bool) -> None:
    """Values are found by key in each window, one key at a time and all at once."""
    add_items(state, (("a", "1"), [FIRST]), (("b", "2"), [FIRST]), (("a", "3"), [FIRST, SECOND]))
    add_items(state, (("a", "4"), [FIRST]), (("c", "5"), [FIRST]))
    first = view(state, MULTIMAP, ITEMS, FIRST, bulk=bulk)
    assert {key: list(first[key]) for key in "abcd"} == {
        "a": ["1", "3", "4"],
        "b": ["2"],
        "c": ["5"],
        "d": [],
    }
    assert list(view(state, MULTIMAP, ITEMS, SECOND, bulk=bulk)["a"]) == ["3"]


def test_keys_are_listed_once(state: StateService) -> None:
    """The keys of a window are listed once each, however often values of theirs come."""
    for number in "012":
        add_items(state, (("a", number), [FIRST]), (("b", number), [FIRST]))
    key = StateKey.MultimapKeysSideInput(
        transform_id="t", side_input_id="map", window=WINDOWS.encode(FIRST)
    )
    data, token = state.get_raw(StateKey(multimap_keys_side_input=key))
    assert list(coders.StrUtf8Coder().get_impl().decode_all(data)) == ["a", "b"]
    assert token is None
    assert all_items(state, FIRST) == {"a": ["0", "1", "2"], "b": ["0", "1", "2"]}


def test_large_side_inputs_come_in_pages(state: StateService) -> None:
    """Pages are decoded one by one; all of them together are what was added."""
    large = ["x" * (3 << 20), "y" * (6 << 20), "z" * (3 << 20), "end"]
    for value in large:
        add(state, (value, [FIRST]))
    assert list(view(state, ITERABLE, VALUES, FIRST)) == large
    for key in ("a", "b", "a"):
        for value in large:
            add_items(state, ((key, value), [FIRST]))
    expected = {"a": large * 2, "b": large}
    assert all_items(state, FIRST) == expected
    values = view(state, MULTIMAP, ITEMS, FIRST)
    assert {key: list(values[key]) for key in "ab"} == expected


def test_presence_is_known_by_window(state: StateService) -> None:
    """A side input is there in a window as soon as one element is."""
    add(state, ("a", [FIRST]))
    add_items(state, (("a", "1"), [SECOND]))
    first, second = WINDOWS.encode(FIRST), WINDOWS.encode(SECOND)
    assert state.has_side_input("t", "list", first)
    assert not state.has_side_input("t", "list", second)
    assert not state.has_side_input("t", "map", first)
    assert state.has_side_input("t", "map", second)
    assert not state.has_side_input("other", "list", first)


def test_windows_expire_by_the_main_watermark(state: StateService, store: Store) -> None:
    """A window is removed when late main elements can't ask for it any more, and not before."""
    add(state, ("a", [FIRST]), ("b", [SECOND]), lateness_us=10 * S)
    add_items(state, (("a", "1"), [FIRST]))
    state.expire_side_input("t", "list", 70 * S - 1)
    assert state.has_side_input("t", "list", WINDOWS.encode(FIRST))
    state.expire_side_input("t", "list", 70 * S)
    assert not state.has_side_input("t", "list", WINDOWS.encode(FIRST))
    assert state.has_side_input("t", "list", WINDOWS.encode(SECOND))
    assert state.has_side_input("t", "map", WINDOWS.encode(FIRST))
    state.expire_side_input("t", "map", 60 * S)
    state.expire_side_input("t", "list", MAX_US)
    assert store.cells(b"") == []


def test_global_window_stays_to_the_end(state: StateService) -> None:
    """In the global window a side input is there as long as the main input lasts."""
    coder = coders.WindowedValueCoder(coders.StrUtf8Coder(), GlobalWindows().get_window_coder())
    data = encoded(coder, ("a", [GlobalWindow()]))
    state.add_side_input("t", "list", ITERABLE, coder, data)
    state.expire_side_input("t", "list", MAX_US - 1)
    assert list(view(state, ITERABLE, coder, GlobalWindow())) == ["a"]
    state.expire_side_input("t", "list", MAX_US)
    assert list(view(state, ITERABLE, coder, GlobalWindow())) == []


def test_unknown_access_is_refused(state: StateService) -> None:
    """An access pattern that Beam has not is an error, not an empty side input."""
    with pytest.raises(ValueError, match="beam:x"):
        state.add_side_input("t", "list", "beam:x", VALUES, b"")


def test_version_tells_of_changes(state: StateService) -> None:
    """Who looked for a side input in vain learns when to look again."""
    before = state.side_input_version
    add(state, ("a", [FIRST]))
    after = state.side_input_version
    assert after != before
    state.reload()
    assert state.side_input_version not in (before, after)
