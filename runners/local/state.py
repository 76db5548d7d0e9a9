"""Beam's state API on the store: what stateful steps keep, side inputs, panes that don't fit.

Rows of a cell are whole encoded elements, back to back, so that a page of rows can be decoded on
its own. A continuation token says where the next page begins and nothing else: any number of
readers can be under way, and none has to finish.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from struct import Struct
from typing import TYPE_CHECKING, Any

from runners.local import list_state, side_state
from runners.local.expiry import Expiry, Scope
from runners.local.internals import sdk_worker
from runners.local.keys import bag_state, runner_cell
from runners.local.paging import PAGE_BYTES, Page, read_page

if TYPE_CHECKING:
    from runners.local.store import Bag, Store

__all__ = ["StateService", "bag_token"]

_BAG = b"bag:"
_UPTO = Struct(">q")

# A bag of more rows than this, small ones, is written anew as one when it is read.
_ROWS_MAX = 1_000
_SMALL_BYTES = 1_024


def bag_token(bag: Bag) -> bytes:
    """Return the key by which a harness reads the values of a bag, page by page."""
    return _BAG + _UPTO.pack(bag.upto) + bag.cell


class StateService(sdk_worker.StateHandler):
    """What SDK harnesses read and write as state, durable with the epoch that it happened in.

    Args:
        store: where everything is kept.
        lock: held around each use of the store; reentrant. Harnesses in other processes come
            through threads of gRPC.
        scopes: the stateful steps, by transform id; state of others never expires.

    Attributes:
        expiry: of the windows of the stateful steps.
        side_input_version: another number whenever a side input may have changed.
    """

    def __init__(
        self, store: Store, lock: AbstractContextManager[Any], scopes: Mapping[str, Scope]
    ) -> None:
        self._store, self._lock = store, lock
        self.expiry = Expiry(store, scopes)
        self._side = side_state.SideInputs(store)
        self._lent = True
        self.side_input_version = 0
        self._readers: dict[str, Callable[[Any, bytes | None], Page]] = {
            "bag_user_state": self._read_bag,
            "ordered_list_user_state": self._read_list,
            "runner": self._read_runner,
            "iterable_side_input": self._side.read_iterable,
            "multimap_side_input": self._side.read_values,
            "multimap_keys_side_input": self._side.read_keys,
            "multimap_keys_values_side_input": self._side.read_items,
        }
        self._writers: dict[str, Callable[[Any, bytes], None]] = {
            "bag_user_state": self._append_bag,
            "ordered_list_user_state": self._append_list,
            "runner": self._append_runner,
        }
        self._cleaners: dict[str, Callable[[Any], None]] = {
            "bag_user_state": self._clear_bag,
            "ordered_list_user_state": self._clear_list,
            "runner": self._clear_runner,
        }

    # --- what harnesses call ------------------------------------------------------------------

    def get_raw(self, state_key: Any, continuation_token: bytes | None = None) -> Page:
        """Return a page of encoded elements, and the token of the next one or None."""
        kind = state_key.WhichOneof("type")
        read = _known(self._readers, kind, "read")
        with self._lock:
            return read(getattr(state_key, kind), continuation_token or None)

    def append_raw(self, state_key: Any, data: bytes) -> Any:
        """Add encoded elements; they are in place when this returns."""
        kind = state_key.WhichOneof("type")
        write = _known(self._writers, kind, "written")
        with self._lock:
            write(getattr(state_key, kind), data)
        return _done()

    def clear(self, state_key: Any) -> Any:
        """Remove all elements, of an ordered list those of the range."""
        kind = state_key.WhichOneof("type")
        clean = _known(self._cleaners, kind, "cleared")
        with self._lock:
            clean(getattr(state_key, kind))
        return _done()

    @contextmanager
    def process_instruction_id(self, bundle_id: str) -> Iterator[None]:  # noqa: ARG002
        """Do nothing: an epoch is taken back as a whole, whichever bundle wrote what."""
        yield

    def done(self) -> None:
        """Do nothing: the store is closed by who opened it."""

    # --- what the kernel calls ----------------------------------------------------------------

    def expire(self, transform_id: str, watermark_us: int) -> list[bytes]:
        """Remove state and timers of the windows that are over (see `Expiry`); return those."""
        with self._lock:
            return self.expiry.expire(transform_id, watermark_us)

    def forget_runner_cells(self) -> None:
        """Remove what was written under keys of the runner: it serves no longer than an epoch."""
        with self._lock:
            if self._lent:
                self._store.delete_prefix(runner_cell(b""))
                self._lent = False

    def reload(self) -> None:
        """Forget what was remembered of the store, after a rollback."""
        with self._lock:
            self.expiry.reload()
            self._lent = True
            self.side_input_version += 1

    def add_side_input(
        self,
        transform_id: str,
        tag: str,
        access_pattern_urn: str,
        windowed_value_coder: Any,
        data: bytes,
        *,
        lateness_us: int = 0,
    ) -> None:
        """Add elements to a side input of a step.

        Args:
            transform_id: the step that reads it.
            tag: the name of the side input there.
            access_pattern_urn: iterable or multimap, from ``common_urns.side_inputs``.
            windowed_value_coder: of the elements; of ``KV`` for a multimap. Its window coder must
                yield windows that know their end; values may stay bytes.
            data: encoded elements, nested, back to back.
            lateness_us: allowed lateness of the step's main input, by which a window lives longer.
        """
        with self._lock:
            self.side_input_version += 1
            self._side.add(
                (transform_id, tag), access_pattern_urn, windowed_value_coder, data, lateness_us
            )

    def has_side_input(self, transform_id: str, tag: str, window: bytes) -> bool:
        """Tell whether a side input has elements in a window."""
        with self._lock:
            return self._side.has(transform_id, tag, window)

    def expire_side_input(self, transform_id: str, tag: str, watermark_us: int) -> None:
        """Remove the windows of a side input that are over.

        Args:
            transform_id: the step that reads it.
            tag: the name of the side input there.
            watermark_us: of the step's main input.
        """
        with self._lock:
            self._side.expire(transform_id, tag, watermark_us)

    # --- bags ---------------------------------------------------------------------------------

    def _read_bag(self, key: Any, token: bytes | None) -> Page:
        cell = _bag_cell(key)
        if token is not None:
            return read_page(self._store, cell, token)
        rows = self._store.read(cell, bytes_max=PAGE_BYTES)
        data = b"".join([row for _, row in rows])
        if len(data) >= PAGE_BYTES:
            return data, b"%d" % rows[-1][0]
        if len(rows) > _ROWS_MAX and len(data) < len(rows) * _SMALL_BYTES:
            # All rows are in this page, hence no other page of theirs is being read.
            self._store.delete(cell)
            self._store.append(cell, data)
        return data, None

    def _append_bag(self, key: Any, data: bytes) -> None:
        self._store.append(_bag_cell(key), data)
        self.expiry.touch(key.transform_id, key.window)

    def _clear_bag(self, key: Any) -> None:
        self._store.delete(_bag_cell(key))

    # --- ordered lists ------------------------------------------------------------------------

    def _read_list(self, key: Any, token: bytes | None) -> Page:
        return list_state.read(self._store, key, token)

    def _append_list(self, key: Any, data: bytes) -> None:
        list_state.append(self._store, key, data)
        self.expiry.touch(key.transform_id, key.window)

    def _clear_list(self, key: Any) -> None:
        list_state.clear(self._store, key)

    # --- the runner's own keys ----------------------------------------------------------------

    def _read_runner(self, key: Any, token: bytes | None) -> Page:
        name = key.key
        if name.startswith(_BAG):
            (upto,) = _UPTO.unpack_from(name, len(_BAG))
            return read_page(self._store, name[len(_BAG) + _UPTO.size :], token, upto)
        return read_page(self._store, runner_cell(name), token)

    def _append_runner(self, key: Any, data: bytes) -> None:
        self._store.append(runner_cell(key.key), data)
        self._lent = True

    def _clear_runner(self, key: Any) -> None:
        self._store.delete(runner_cell(key.key))


def _bag_cell(key: Any) -> bytes:
    return bag_state(key.transform_id, key.window, key.user_state_id, key.key)


def _done() -> Any:
    return sdk_worker._Future.done()


def _known(methods: Mapping[str, Any], kind: str | None, verb: str) -> Any:
    method = methods.get(kind or "")
    if method is None:
        raise NotImplementedError(f"State of type {kind} can't be {verb} here: no step of Python's")
    return method
