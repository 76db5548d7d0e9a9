"""User timers in the store: set and cleared by bundles, due by the watermark or by the clock."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from apache_beam.transforms.userstate import Timer as UserTimer

from runners.local.expiry import EVENT_TIME, PROCESSING_TIME, Expiry
from runners.local.internals import create_InputStream
from runners.local.keys import first_parts, join, split, timer_owner

if TYPE_CHECKING:
    from runners.local.store import Store, Timer

__all__ = ["EVENT_TIME", "PROCESSING_TIME", "TimerFamily", "UserTimers"]

_FIRST_PAGE = 256

# A timer as a bundle has set or cleared it, its window encoded, and all of it encoded.
_Set = tuple[UserTimer, bytes, bytes]


@dataclass(frozen=True)
class TimerFamily:
    """A timer family of a step.

    Attributes:
        coder_impl: of its timers, as they go to the harness and come back; keys may stay bytes.
        domain: ``EVENT_TIME`` or ``PROCESSING_TIME``.
    """

    coder_impl: Any
    domain: int


class UserTimers:
    """The timers of all steps. Its caller holds the lock of the store.

    A timer is one of its family, key, window and dynamic tag. What a callback is given are the
    very bytes with which the timer was set: its time, its window, its pane.

    Args:
        store: where they are kept.
        families: by (transform id, family id).
        expiry: of the windows, `StateService.expiry`.
    """

    def __init__(
        self, store: Store, families: Mapping[tuple[str, str], TimerFamily], expiry: Expiry
    ) -> None:
        self._store, self._families, self._expiry = store, families, expiry

    def record(self, transform_id: str, family: str, data: bytes) -> None:
        """Set and clear what a bundle has written for a family: timers, nested, back to back."""
        spec = self._families[transform_id, family]
        stream = create_InputStream(data)
        decode = spec.coder_impl.decode_from_stream
        # A step may set one timer for each element: only the last word reaches the store.
        last: dict[bytes, _Set] = {}
        at = 0
        while stream.size() > 0:
            timer = decode(stream, True)
            end = len(data) - stream.size()
            for window in timer.windows:
                encoded = self._expiry.window_bytes(transform_id, window)
                slot = self._slot(spec, family, timer, encoded)
                last[slot] = timer, encoded, data[at:end]
            at = end
        for slot, set_to in last.items():
            self._set(transform_id, spec.domain, slot, set_to)

    def take_due(
        self, transform_ids: Iterable[str], watermark_us: int, now_us: int, limit: int
    ) -> dict[tuple[str, str], bytes]:
        """Remove timers that are due and return them, encoded, in order of time, by family.

        Of a key and window of a step only the earliest ones come, and of one time domain only:
        their callbacks may set or clear the others. Ask again after the bundle, until none comes.

        Args:
            transform_ids: the steps.
            watermark_us: event-time timers up to this are due.
            now_us: processing-time timers up to this are due.
            limit: how many timers at most.
        """
        due: dict[tuple[str, str], list[bytes]] = defaultdict(list)
        for transform_id in transform_ids:
            first: dict[bytes, tuple[int, int | None]] = {}
            for domain, until_us in ((EVENT_TIME, watermark_us), (PROCESSING_TIME, now_us)):
                taken = self._take(transform_id, domain, until_us, limit, first)
                limit -= len(taken)
                for timer in taken:
                    due[transform_id, split(timer.slot)[2].decode()].append(timer.data)
        return {family: b"".join(timers) for family, timers in due.items()}

    def hold_us(self, transform_id: str) -> int | None:
        """Return the time at which the step's timers hold its output watermark, if they do."""
        return self._store.earliest_hold_us(timer_owner(transform_id))

    def next_time_us(self, transform_ids: Iterable[str]) -> int | None:
        """Return when the first processing-time timer of the steps is due, if there is one."""
        times = [
            self._store.next_timer_us(timer_owner(transform_id), PROCESSING_TIME)
            for transform_id in transform_ids
        ]
        return min((time_us for time_us in times if time_us is not None), default=None)

    def any_event_timers(self, transform_ids: Iterable[str], watermark_us: int) -> bool:
        """Tell whether any event-time timer of the steps is due by a watermark."""
        for transform_id in transform_ids:
            fire_us = self._store.next_timer_us(timer_owner(transform_id), EVENT_TIME)
            if fire_us is not None and fire_us <= watermark_us:
                return True
        return False

    def expire(self, transform_id: str, window: bytes) -> None:
        """Remove the timers of a step in a window that is over."""
        self._store.clear_timers(timer_owner(transform_id), join(window))

    # --- one timer ----------------------------------------------------------------------------

    @staticmethod
    def _slot(spec: TimerFamily, family: str, timer: UserTimer, window: bytes) -> bytes:
        # A timer coder can't be asked for its key coder, but encodes timers that are but a key.
        key = spec.coder_impl.encode(UserTimer(timer.user_key, "", (), True, None, None, None))
        return join(window, key, family.encode(), timer.dynamic_timer_tag.encode())

    def _set(self, transform_id: str, domain: int, slot: bytes, set_to: _Set) -> None:
        timer, window, data = set_to
        owner = timer_owner(transform_id)
        if timer.clear_bit:
            self._store.clear_timer(owner, slot)
            return
        self._store.set_timer(
            owner,
            slot,
            domain=domain,
            fire_us=timer.fire_timestamp.micros,
            hold_us=self._expiry.held_us(transform_id, window, timer.hold_timestamp.micros),
            data=data,
        )
        self._expiry.touch(transform_id, window)

    # --- what is due --------------------------------------------------------------------------

    def _take(
        self,
        transform_id: str,
        domain: int,
        until_us: int,
        limit: int,
        first: dict[bytes, tuple[int, int | None]],
    ) -> list[Timer]:
        """Take due timers of a domain; ``first`` remembers the time taken of each key and window.

        Pages grow as long as most of a page can be taken, for what can't is read again.
        """
        owner = timer_owner(transform_id)
        taken: list[Timer] = []
        page = _FIRST_PAGE
        while len(taken) < limit:
            rows = self._store.due_timers(owner, domain, until_us, page)
            chosen = [row for row in rows if self._is_first(row, domain, first)]
            chosen = chosen[: limit - len(taken)]
            for row in chosen:
                self._store.clear_timer(owner, row.slot)
            taken += chosen
            if len(rows) < page or 2 * len(chosen) < len(rows):
                break
            page *= 2
        return taken

    @staticmethod
    def _is_first(row: Timer, domain: int, first: dict[bytes, tuple[int, int | None]]) -> bool:
        time = domain, row.fire_us
        return first.setdefault(first_parts(row.slot, 2), time) == time
