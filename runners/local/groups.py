"""The groups of one GroupByKey: in the store, and the latest ones in memory.

A group is kept as a timer of its window: it fires when the window ends or expires, holds the
watermark, and its data is the group. What waits for a processing time has another timer.
"""

from __future__ import annotations

from struct import Struct
from typing import Any

from runners.local.expiry import EVENT_TIME, PROCESSING_TIME
from runners.local.group import Group, decode_group, encode_group
from runners.local.store import Store, Timer
from runners.local.triggering import Trigger
from runners.local.windows import Window, Windows, whole_millis

__all__ = ["Groups"]

_DUE_ROWS = 1_000
_REMEMBERED_MAX = 10_000

_length_code = Struct(">I")


class Groups:
    """Groups by slot: by key and window. Memory is a cache of bounded size.

    Args:
        store: where they are.
        name: of the grouping, unique in the store.
        windows: of the windowing.
        trigger: tells what a group awaits.
        merges: windows of a key may merge, so that all groups of a key are read together.
        awaits_clock: processing times are awaited, if the trigger has any.
    """

    def __init__(
        self,
        store: Store,
        name: str,
        windows: Windows,
        trigger: Trigger,
        *,
        merges: bool,
        awaits_clock: bool,
    ) -> None:
        self._store, self._windows, self._trigger = store, windows, trigger
        self._owner, self._clock_owner = f"group:{name}", f"clock:{name}"
        self._merges, self._awaits_clock = merges, awaits_clock
        # Groups by slot, or where windows merge, all groups of a key by its prefix.
        self._cache: dict[bytes, Any] = {}
        self._touched = 0

    def slot(self, key: bytes, window: Window) -> bytes:
        """Return the slot of a key, encoded and nested, and a window."""
        return _prefix(key) + window.code

    def split(self, slot: bytes) -> tuple[bytes, Window]:
        """Return the key and the window of a slot."""
        (size,) = _length_code.unpack_from(slot)
        return slot[4 : 4 + size], self._windows.decode(slot[4 + size :])

    # --- time ---------------------------------------------------------------------------------

    def due(self, watermark_us: int) -> list[Timer]:
        """Return some groups that have something to do by the watermark, by time; none: no more."""
        return self._store.due_timers(self._owner, EVENT_TIME, watermark_us, _DUE_ROWS)

    def due_by_clock(self, now_us: int) -> list[Timer]:
        """Return some groups that waited for a processing time, by time; none: no more."""
        return self._store.due_timers(self._clock_owner, PROCESSING_TIME, now_us, _DUE_ROWS)

    def hold_us(self) -> int | None:
        """Return the earliest watermark that a group holds."""
        return self._store.earliest_hold_us(self._owner)

    def next_time_us(self) -> int | None:
        """Return the earliest processing time that a group awaits."""
        if not self._awaits_clock:
            return None
        return self._store.next_timer_us(self._clock_owner, PROCESSING_TIME)

    # --- groups -------------------------------------------------------------------------------

    def load(self, slot: bytes) -> Group | None:
        """Return a group whose window does not merge with others, if there is one."""
        group = self._cache.get(slot)
        if group is None:
            timer = self._store.timer(self._owner, slot)
            if timer is not None:
                group = decode_group(timer.data)
        return group

    def of_timer(self, timer: Timer) -> Group:
        """Return the group of a timer that was due by the watermark."""
        if self._merges:
            key, window = self.split(timer.slot)
            groups = self._cache.get(_prefix(key))
            group = groups and groups.get(window.beam)
        else:
            group = self._cache.get(timer.slot)
        return group or decode_group(timer.data)

    def of_clock(self, slot: bytes) -> Group:
        """Return the group of a slot that was due by the clock."""
        key, window = self.split(slot)
        group = self.of_key(key).get(window.beam) if self._merges else self.load(slot)
        if group is None:
            raise LookupError(f"{self._clock_owner} has a timer of {window.beam}, which is unknown")
        return group

    def of_key(self, key: bytes) -> dict[Any, Group]:
        """Return all groups of a key by window, where windows merge. Changes are remembered."""
        prefix = _prefix(key)
        groups = self._cache.get(prefix)
        if groups is None:
            groups = {
                self.split(timer.slot)[1].beam: decode_group(timer.data)
                for timer in self._store.timers(self._owner, prefix)
            }
            self._trim(len(groups))
            self._cache[prefix] = groups
        return groups

    def save(self, slot: bytes, window: Window, group: Group) -> None:
        """Write a group to the store."""
        fire_us, clock_us = window.expiry_us, None
        if not group.closed:
            if self._trigger.awaits_end(group.trigger):
                fire_us = min(fire_us, window.end_us)
            if self._awaits_clock:
                clock_us = self._trigger.awaits_us(group.trigger)
        if clock_us != group.clock_us:
            group.clock_us = clock_us
            self._save_clock(slot, clock_us)
        self._trim(1)
        if not self._merges:
            self._cache[slot] = group
        self._store.set_timer(
            self._owner,
            slot,
            domain=EVENT_TIME,
            fire_us=fire_us,
            hold_us=_hold_us(group),
            data=encode_group(group),
        )

    def remove(self, key: bytes, window: Window) -> None:
        """Remove a group, if it is there."""
        slot = self.slot(key, window)
        if self._merges and (groups := self._cache.get(_prefix(key))):
            groups.pop(window.beam, None)
        self._cache.pop(slot, None)
        self._store.clear_timer(self._owner, slot)
        if self._trigger.uses_clock:
            self._store.clear_timer(self._clock_owner, slot)

    def forget(self) -> None:
        """Forget what is remembered of the store, after a rollback."""
        self._cache.clear()

    def _trim(self, touched: int) -> None:
        """Forget what is remembered every so often: reading it again then costs little."""
        self._touched += touched
        if self._touched > _REMEMBERED_MAX:
            self._touched = 0
            self._cache.clear()

    def _save_clock(self, slot: bytes, clock_us: int | None) -> None:
        if clock_us is None:
            self._store.clear_timer(self._clock_owner, slot)
        else:
            self._store.set_timer(
                self._clock_owner,
                slot,
                domain=PROCESSING_TIME,
                fire_us=clock_us,
                hold_us=None,
                data=b"",
            )


def _hold_us(group: Group) -> int | None:
    """Return the watermark that a group holds: the pane to come is not behind it."""
    if group.holds and group.output_us is not None:
        return whole_millis(group.output_us) - 1
    return None


def _prefix(key: bytes) -> bytes:
    """Return what the slots of a key, and of no other, begin with."""
    return _length_code.pack(len(key)) + key
