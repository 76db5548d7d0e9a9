"""When the windows of a step expire, and what is removed with them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.timestamp import MAX_TIMESTAMP

from runners.local.internals import beam_runner_api_pb2
from runners.local.keys import expiry_owner, join, state_of_step, state_of_window, timer_owner

if TYPE_CHECKING:
    from runners.local.store import Store

__all__ = ["EVENT_TIME", "MAX_US", "PROCESSING_TIME", "Expiry", "Scope", "expiry_us"]

EVENT_TIME = beam_runner_api_pb2.TimeDomain.EVENT_TIME
PROCESSING_TIME = beam_runner_api_pb2.TimeDomain.PROCESSING_TIME
MAX_US = int(MAX_TIMESTAMP.micros)

# Windows that are known to be registered. To forget them costs one write each, when next touched.
_KNOWN_MAX = 100_000
_ROWS = 1_000


@dataclass(frozen=True)
class Scope:
    """In which windows a stateful step keeps state and timers.

    Attributes:
        window_coder_impl: how the harness writes windows into state keys.
        lateness_us: the allowed lateness of the step's input.
        expires: false keeps the state of all windows until the end of the input.
    """

    window_coder_impl: Any
    lateness_us: int = 0
    expires: bool = True


def expiry_us(window: Any, lateness_us: int) -> int:
    """Return the watermark that ends a window: all of it, and of what may come late, has passed.

    That is its end, one microsecond after its last timestamp, so that a timer set for the end
    still finds its state.
    """
    return min(int(window.max_timestamp().micros) + 1 + lateness_us, MAX_US)


class Expiry:
    """The windows that hold state or timers, in the store, by the time that they expire.

    A window whose event-time timers reach beyond its end lives until they have fired: no runner
    of Beam's Python drops them. A timer in processing time doesn't keep its window, for it may be
    set anew forever; only at the end of the input, where every window ends at once, it does.
    The global window ends with the input.
    """

    def __init__(self, store: Store, scopes: Mapping[str, Scope]) -> None:
        self._store, self._scopes = store, scopes
        self._known: set[tuple[str, bytes]] = set()
        self._bounds: dict[tuple[str, bytes], tuple[int, int]] = {}

    def reload(self) -> None:
        """Forget what was remembered of the store, after a rollback."""
        self._known.clear()

    def window_bytes(self, transform_id: str, window: Any) -> bytes:
        """Return a window as it is written in state keys; bytes are taken for that already."""
        if isinstance(window, bytes):
            return window
        return bytes(self._scopes[transform_id].window_coder_impl.encode(window))

    def held_us(self, transform_id: str, window: bytes, time_us: int) -> int:
        """Return where a timer holds the watermark that gives out elements in a window at a time.

        Timers are set for the end of a window, which is not in it any more: what they give is to
        be in time all the same. No timer is so late that what it gives would be dropped.
        """
        last_us, dropped_us = self._bounds_us(transform_id, window)
        return min(time_us, last_us if time_us == last_us + 1 else dropped_us - 1)

    def _bounds_us(self, transform_id: str, window: bytes) -> tuple[int, int]:
        """Return the last timestamp of a window, and the watermark behind which it is closed."""
        if transform_id not in self._scopes:
            return MAX_US, MAX_US + 1
        bounds = self._bounds.get((transform_id, window))
        if bounds is None:
            if len(self._bounds) >= _KNOWN_MAX:
                self._bounds.clear()
            scope = self._scopes[transform_id]
            decoded = scope.window_coder_impl.decode(window)
            bounds = int(decoded.max_timestamp().micros), expiry_us(decoded, scope.lateness_us)
            self._bounds[transform_id, window] = bounds
        return bounds

    def touch(self, transform_id: str, window: bytes) -> None:
        """See to it that the window expires."""
        touched = transform_id, window
        if touched in self._known:
            return
        if len(self._known) >= _KNOWN_MAX:
            self._known.clear()
        self._known.add(touched)
        scope = self._scopes.get(transform_id)
        if scope is None or not scope.expires:
            return
        decoded = scope.window_coder_impl.decode(window)
        if not isinstance(decoded, GlobalWindow):
            self._register(transform_id, window, expiry_us(decoded, scope.lateness_us))

    def expire(self, transform_id: str, watermark_us: int) -> list[bytes]:
        """Remove the state and timers of the windows that are over; return those windows.

        Call it when the timers that are due by this watermark have fired, and with a watermark
        that will not be taken back.
        """
        expired = []
        for window in list(self._due(transform_id, watermark_us)):
            until_us = self._awaited_us(transform_id, window, watermark_us)
            if until_us is None:
                self._remove(transform_id, window)
                expired.append(window)
            else:
                self._register(transform_id, window, until_us)
        if watermark_us >= MAX_US and not self._has_timers(transform_id):
            self._store.delete_prefix(state_of_step(transform_id))
        return expired

    def _register(self, transform_id: str, window: bytes, fire_us: int) -> None:
        self._store.set_timer(
            expiry_owner(transform_id),
            window,
            domain=EVENT_TIME,
            fire_us=fire_us,
            hold_us=None,
            data=b"",
        )

    def _due(self, transform_id: str, watermark_us: int) -> Iterator[bytes]:
        """Take the windows that are over out of the list."""
        owner = expiry_owner(transform_id)
        while rows := self._store.due_timers(owner, EVENT_TIME, watermark_us, _ROWS):
            for row in rows:
                self._store.clear_timer(owner, row.slot)
                yield row.slot

    def _awaited_us(self, transform_id: str, window: bytes, watermark_us: int) -> int | None:
        """Return when to look at a window again that timers keep, None for one that is over."""
        owner, prefix = timer_owner(transform_id), join(window)
        event_us = self._store.next_timer_us(owner, EVENT_TIME, prefix)
        if event_us is not None:
            return max(event_us, watermark_us)
        if (
            watermark_us < MAX_US
            or self._store.next_timer_us(owner, PROCESSING_TIME, prefix) is None
        ):
            return None
        return MAX_US

    def _remove(self, transform_id: str, window: bytes) -> None:
        self._known.discard((transform_id, window))
        self._store.delete_prefix(state_of_window(transform_id, window))
        self._store.clear_timers(timer_owner(transform_id), join(window))

    def _has_timers(self, transform_id: str) -> bool:
        owner = timer_owner(transform_id)
        domains = (EVENT_TIME, PROCESSING_TIME)
        return any(self._store.next_timer_us(owner, domain) is not None for domain in domains)
