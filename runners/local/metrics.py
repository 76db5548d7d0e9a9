"""What committed bundles have counted, across restarts."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

from runners.local.internals import (
    BoundedTrieData,
    FnApiMetrics,
    beam_fn_api_pb2,
    coders,
    metrics_pb2,
    monitoring_infos,
)

__all__ = ["Totals"]

FRESH_MAX = 10_000
"""So many infos wait at most until they are added up."""


class Totals:
    """Sums up Beam's metrics. User metrics survive a restart, the others count from the start.

    Only epochs that were committed count, so that each element is counted once, and those that
    changed nothing. Any thread may read while another one counts. Memory: one info for each metric
    of a step, and ``FRESH_MAX`` of either kind that are not added up yet.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        # Each commit stores the user's, of which there are few; nobody may ever ask for the others.
        self._user, self._own = _Sum(), _Sum()

    def load(self, encoded: bytes | None) -> None:
        """Take what ``encode`` has given; None for nothing."""
        container = beam_fn_api_pb2.ProcessBundleProgressResponse.FromString(encoded or b"")
        with self._lock:
            self._user, self._own = _Sum(), _Sum()
            self._user.add(container.monitoring_infos)

    def add(self, infos: Iterable[Any]) -> None:
        """Count what a bundle has reported."""
        user: list[Any] = []
        own: list[Any] = []
        for info in infos:
            (user if monitoring_infos.is_user_monitoring_info(info) else own).append(info)
        with self._lock:
            self._user.add(user)
            self._own.add(own)

    def add_user(self, infos: Iterable[Any]) -> bool:
        """Count the user metrics among what a bundle has reported; return if there are any."""
        user = list(filter(monitoring_infos.is_user_monitoring_info, infos))
        with self._lock:
            self._user.add(user)
        return bool(user)

    def infos(self) -> list[Any]:
        """Return one ``MonitoringInfo`` for each metric of a step."""
        with self._lock:
            return [*self._user.infos(), *self._own.infos()]

    def encode(self) -> bytes:
        """Return the user metrics for the store."""
        container = beam_fn_api_pb2.ProcessBundleProgressResponse(monitoring_infos=self._users())
        return bytes(container.SerializeToString())

    def query(self, *, user_only: bool) -> Any:
        """Return the metrics as Beam's ``MetricResults``."""
        infos = self._users() if user_only else self.infos()
        return FnApiMetrics({"": infos}, user_metrics_only=user_only)

    def _users(self) -> list[Any]:
        with self._lock:
            return self._user.infos()


class _Sum:
    """Infos, added up when they are asked for or too many."""

    def __init__(self) -> None:
        self._infos: list[Any] = []
        self._fresh: list[Any] = []

    def add(self, infos: Iterable[Any]) -> None:
        self._fresh.extend(infos)
        if len(self._fresh) > FRESH_MAX:
            self.infos()

    def infos(self) -> list[Any]:
        """Return one info for each metric of a step; the list is not changed later."""
        if self._fresh:
            self._infos, self._fresh = _consolidated([*self._infos, *self._fresh]), []
        return self._infos


def _consolidated(infos: Iterable[Any]) -> list[Any]:
    """Return one info for each metric, step and set of labels.

    Beam's ``consolidate`` adds up counters and distributions only; of the other kinds it keeps
    whatever each bundle has reported.
    """
    kept: dict[Any, Any] = {}
    for info in monitoring_infos.consolidate(infos):
        key = monitoring_infos.to_key(info)
        if key in kept and info.type in _MERGED:
            merged = metrics_pb2.MonitoringInfo()
            merged.CopyFrom(info)
            merged.payload = _MERGED[info.type](kept[key].payload, info.payload)
            kept[key] = merged
        else:
            kept[key] = info  # the latest value of a gauge, or of a measurement
    return list(kept.values())


def _merge_string_sets(one: bytes, other: bytes) -> bytes:
    return bytes(_STRINGS.encode(sorted({*_STRINGS.decode(one), *_STRINGS.decode(other)})))


def _merge_bounded_tries(one: bytes, other: bytes) -> bytes:
    first, second = (
        BoundedTrieData.from_proto(metrics_pb2.BoundedTrie.FromString(each))
        for each in (one, other)
    )
    return bytes(first.combine(second).to_proto().SerializeToString())


_STRINGS = coders.IterableCoder(coders.StrUtf8Coder())
_MERGED: dict[str, Callable[[bytes, bytes], bytes]] = {
    monitoring_infos.STRING_SET_TYPE: _merge_string_sets,
    monitoring_infos.BOUNDED_TRIE_TYPE: _merge_bounded_tries,
}
