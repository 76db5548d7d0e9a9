"""Ordered lists in the state."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from apache_beam.transforms.window import GlobalWindows

from runners.local.expiry import Scope
from runners.local.internals import beam_fn_api_pb2, coder_impl
from runners.local.state import StateService
from runners.local.store import Store

StateKey = beam_fn_api_pb2.StateKey
MIN, MAX = -(1 << 63), (1 << 63) - 1
ENTRY = coder_impl.TupleCoderImpl(
    [coder_impl.VarIntCoderImpl(), coder_impl.LengthPrefixCoderImpl(coder_impl.BytesCoderImpl())]
)


@pytest.fixture
def state() -> Iterator[StateService]:
    """State on a store of its own."""
    store = Store.open(None)
    store.begin()
    scope = Scope(GlobalWindows().get_window_coder().get_impl())
    yield StateService(store, threading.RLock(), {"t": scope})
    store.close()


def within(start: int, end: int, key: bytes = b"k") -> Any:
    """Return the key of a range of a list."""
    return StateKey(
        ordered_list_user_state=StateKey.OrderedListUserState(
            transform_id="t",
            user_state_id="s",
            window=b"",
            key=key,
            range=beam_fn_api_pb2.OrderedListRange(start=start, end=end),
        )
    )


def add(state: StateService, *entries: tuple[int, bytes], key: bytes = b"k") -> None:
    """Add entries to a list."""
    state.append_raw(within(0, 0, key), b"".join(map(ENTRY.encode_nested, entries)))


def read(state: StateService, start: int = MIN, end: int = MAX, key: bytes = b"k") -> list[Any]:
    """Return the entries of a range, each page decoded on its own."""
    data, token = state.get_raw(within(start, end, key))
    found = list(ENTRY.decode_all(data))
    while token:
        data, token = state.get_raw(within(start, end, key), token)
        found += ENTRY.decode_all(data)
    return found


def test_entries_are_sorted(state: StateService) -> None:
    """Entries come by sort key, negative ones first, and within a sort key as they were added."""
    add(state, (5, b"a"), (-1, b"b"), (5, b"c"))
    add(state, (0, b"d"), (5, b"e"), (MIN, b"f"), (MAX - 1, b"g"))
    assert read(state) == [
        (MIN, b"f"),
        (-1, b"b"),
        (0, b"d"),
        (5, b"a"),
        (5, b"c"),
        (5, b"e"),
        (MAX - 1, b"g"),
    ]


def test_range_has_its_start_and_not_its_end(state: StateService) -> None:
    """A range is read and cleared without its end; an empty one does nothing."""
    add(state, *((number, b"%d" % number) for number in range(-3, 4)))
    assert [number for number, _ in read(state, -2, 2)] == [-2, -1, 0, 1]
    assert read(state, 2, 2) == read(state, 3, -3) == []
    state.clear(within(-2, 2))
    assert [number for number, _ in read(state)] == [-3, 2, 3]
    state.clear(within(2, 2))
    state.clear(within(MIN, MAX))
    assert read(state) == []


def test_lists_are_apart(state: StateService) -> None:
    """The list of one key is not touched through another, though one begins as the other."""
    add(state, (1, b"a"), key=b"k")
    add(state, (1, b"b"), key=b"k2")
    state.clear(within(MIN, MAX, b"k"))
    assert read(state, key=b"k") == []
    assert read(state, key=b"k2") == [(1, b"b")]


def test_long_list_comes_in_pages(state: StateService) -> None:
    """Pages end between entries, within a sort key too, and nothing is lost or repeated."""
    large = [(number // 4, bytes([number]) * (3 << 20)) for number in range(9)]
    for entry in large:
        add(state, entry)
    small = [(number, b"x") for number in range(100, 2_700)]
    add(state, *small)
    data, token = state.get_raw(within(MIN, MAX))
    assert list(ENTRY.decode_all(data)) == large[:3]
    assert token
    assert read(state) == large + small
    assert read(state, 1, 2) == large[4:8]


def test_many_sort_keys_are_cleared(state: StateService) -> None:
    """A range of any number of sort keys is cleared as a whole."""
    add(state, *((number, b"x") for number in range(2_500)))
    state.clear(within(10, 2_490))
    assert [number for number, _ in read(state)] == [*range(10), *range(2_490, 2_500)]
