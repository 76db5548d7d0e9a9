"""Side inputs in the store, by window, and by window and key."""

from __future__ import annotations

from collections import defaultdict
from struct import Struct
from typing import TYPE_CHECKING, Any

from apache_beam.transforms.window import GlobalWindow

from runners.local.expiry import EVENT_TIME, MAX_US, expiry_us
from runners.local.internals import common_urns, create_InputStream, create_OutputStream
from runners.local.keys import side_input, side_owner
from runners.local.paging import PAGE_BYTES, Page, read_page

if TYPE_CHECKING:
    from runners.local.store import Store

__all__ = ["SideInputs"]

_ITERABLE = common_urns.side_inputs.ITERABLE.urn
_MULTIMAP = common_urns.side_inputs.MULTIMAP.urn

# What a cell of a window holds: elements, keys, or values of a key. Rows of values begin with
# how many there are, for the encoding of KV<K, Iterable<V>> counts them.
_ELEMENTS, _KEYS, _VALUES = b"e", b"k", b"v"
_COUNT = Struct(">i")
_ROWS = 1_000


class SideInputs:
    """The elements of all side inputs. Its caller holds the lock of the store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    # --- writing ------------------------------------------------------------------------------

    def add(
        self, name: tuple[str, str], urn: str, coder: Any, data: bytes, lateness_us: int
    ) -> None:
        """Add encoded windowed elements to the side input of a (transform, tag)."""
        if urn not in (_ITERABLE, _MULTIMAP):
            raise ValueError(f"A side input can't be looked up by {urn}")
        keyed = urn == _MULTIMAP
        for window, values in _by_window(coder, data).items():
            encoded = coder.window_coder.encode(window)
            self._register(name, window, encoded, lateness_us)
            if keyed:
                self._add_items(name, encoded, coder.wrapped_value_coder, values)
            else:
                cell = side_input(*name, encoded, _ELEMENTS)
                self._store.append(cell, _encoded(coder.wrapped_value_coder, values))

    def _add_items(
        self, name: tuple[str, str], window: bytes, coder: Any, items: list[Any]
    ) -> None:
        by_key: dict[bytes, list[Any]] = defaultdict(list)
        encode_key = coder.key_coder().get_impl().encode_nested
        for key, value in items:
            by_key[encode_key(key)].append(value)
        for encoded, values in by_key.items():
            cell = side_input(*name, window, _VALUES, encoded)
            if not self._store.read(cell, bytes_max=1):
                self._store.append(side_input(*name, window, _KEYS), encoded)
            row = _COUNT.pack(len(values)) + _encoded(coder.value_coder(), values)
            self._store.append(cell, row)

    def _register(
        self, name: tuple[str, str], window: Any, encoded: bytes, lateness_us: int
    ) -> None:
        fire_us = MAX_US if isinstance(window, GlobalWindow) else expiry_us(window, lateness_us)
        self._store.set_timer(
            side_owner(*name),
            encoded,
            domain=EVENT_TIME,
            fire_us=fire_us,
            hold_us=None,
            data=b"",
        )

    # --- removing -----------------------------------------------------------------------------

    def has(self, transform_id: str, tag: str, window: bytes) -> bool:
        """Tell whether there are elements in a window."""
        return any(
            self._store.read(side_input(transform_id, tag, window, use), bytes_max=1)
            for use in (_ELEMENTS, _KEYS)
        )

    def expire(self, transform_id: str, tag: str, watermark_us: int) -> None:
        """Remove the windows that are over."""
        owner = side_owner(transform_id, tag)
        while rows := self._store.due_timers(owner, EVENT_TIME, watermark_us, _ROWS):
            for row in rows:
                self._store.clear_timer(owner, row.slot)
                self._store.delete_prefix(side_input(transform_id, tag, row.slot))

    # --- reading ------------------------------------------------------------------------------

    def read_iterable(self, key: Any, token: bytes | None) -> Page:
        """Return a page of the elements of a window."""
        return read_page(self._store, _cell(key, _ELEMENTS), token)

    def read_keys(self, key: Any, token: bytes | None) -> Page:
        """Return a page of the keys of a window; each is there once."""
        return read_page(self._store, _cell(key, _KEYS), token)

    def read_values(self, key: Any, token: bytes | None) -> Page:
        """Return a page of the values of a key in a window."""
        after = int(token) if token else 0
        cell = _cell(key, _VALUES, key.key)
        rows = self._store.read(cell, after=after, bytes_max=PAGE_BYTES)
        data = b"".join([memoryview(row)[_COUNT.size :] for _, row in rows])
        full = sum(len(row) for _, row in rows) >= PAGE_BYTES
        return data, (b"%d" % rows[-1][0] if full else None)

    def read_items(self, key: Any, token: bytes | None) -> Page:
        """Return a page of keys with all their values. What a key has is in memory at once."""
        after = int(token) if token else 0
        items: list[bytes] = []
        size = 0
        for number, encoded in self._store.read(_cell(key, _KEYS), after=after):
            item = self._item(key, encoded)
            items.append(item)
            size += len(item)
            if size >= PAGE_BYTES:
                return b"".join(items), b"%d" % number
        return b"".join(items), None

    def _item(self, key: Any, encoded: bytes) -> bytes:
        rows = self._store.read(_cell(key, _VALUES, encoded))
        count = sum(_COUNT.unpack_from(row)[0] for _, row in rows)
        values = [memoryview(row)[_COUNT.size :] for _, row in rows]
        return b"".join([encoded, _COUNT.pack(count), *values])


def _cell(key: Any, *parts: bytes) -> bytes:
    return side_input(key.transform_id, key.side_input_id, key.window, *parts)


def _by_window(coder: Any, data: bytes) -> dict[Any, list[Any]]:
    values: dict[Any, list[Any]] = defaultdict(list)
    stream = create_InputStream(data)
    decode = coder.get_impl().decode_from_stream
    while stream.size() > 0:
        windowed = decode(stream, True)
        for window in windowed.windows:
            values[window].append(windowed.value)
    return values


def _encoded(coder: Any, values: list[Any]) -> bytes:
    stream = create_OutputStream()
    encode = coder.get_impl().encode_to_stream
    for value in values:
        encode(value, stream, True)
    return bytes(stream.get())
