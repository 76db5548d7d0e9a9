"""What committed bundles have counted, across restarts."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any

from runners.local.internals import FnApiMetrics, beam_fn_api_pb2, monitoring_infos

__all__ = ["Totals"]


class Totals:
    """Sums up Beam's metrics. User metrics survive a restart, the others count from the start.

    Only epochs that were committed count, so that each element is counted once. Any thread may
    read while another one counts.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._infos: list[Any] = []
        self._fresh: list[Any] = []

    def load(self, encoded: bytes | None) -> None:
        """Take what ``encode`` has given; None for nothing."""
        container = beam_fn_api_pb2.ProcessBundleProgressResponse.FromString(encoded or b"")
        with self._lock:
            self._infos, self._fresh = list(container.monitoring_infos), []

    def add(self, infos: Iterable[Any]) -> None:
        """Count what a bundle has reported."""
        with self._lock:
            self._fresh.extend(infos)

    def infos(self) -> list[Any]:
        """Return one ``MonitoringInfo`` for each metric."""
        with self._lock:
            if self._fresh:
                self._infos = list(monitoring_infos.consolidate([*self._infos, *self._fresh]))
                self._fresh = []
            return self._infos

    def encode(self) -> bytes:
        """Return the user metrics for the store."""
        user = filter(monitoring_infos.is_user_monitoring_info, self.infos())
        container = beam_fn_api_pb2.ProcessBundleProgressResponse(monitoring_infos=user)
        return bytes(container.SerializeToString())

    def query(self, *, user_only: bool) -> Any:
        """Return the metrics as Beam's ``MetricResults``."""
        return FnApiMetrics({"": self.infos()}, user_metrics_only=user_only)
