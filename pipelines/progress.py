"""What a run shows while it works: one live line on a terminal, plain log lines elsewhere."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from types import TracebackType
from typing import TextIO

from rich.console import Console
from rich.live import Live

from transforms import metrics

__all__ = ["Progress", "line"]

_log = logging.getLogger("headrace")

LIVE_INTERVAL_S = 0.25
LOG_INTERVAL_S = 10.0


def line(totals: dict[str, int], elapsed_s: float, rate: float) -> str:
    """Return the state of a run as one line that fits into 80 columns.

    Args:
        totals: the latest number of each metric by name.
        elapsed_s: since the run began.
        rate: messages per second, lately.
    """

    def number(metric: metrics.Metric) -> str:
        return f"{totals.get(metric.name, 0):,}"

    return (
        f"{elapsed_s:.1f} s  {number(metrics.MESSAGES_READ)} read  {rate:,.0f}/s  "
        f"{number(metrics.ROWS_WRITTEN)} written  {number(metrics.DUPLICATES)} dup  "
        f"{number(metrics.DEAD_LETTERS)} dead  lag {number(metrics.BACKLOG)}"
    )


class Progress:
    """Watch the metrics of this process and show them until the context is left."""

    def __init__(self, stream: TextIO = sys.stderr) -> None:
        self.totals: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._console = Console(file=stream, highlight=False)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._show, name="progress", daemon=True)

    def __enter__(self) -> Progress:
        metrics.watch(self._changed)
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        metrics.unwatch(self._changed)
        self._stop.set()
        self._thread.join()

    def _changed(self, metric: metrics.Metric, number: int) -> None:
        with self._lock:
            if isinstance(metric, metrics.Gauge):
                self.totals[metric.name] = number
            else:
                self.totals[metric.name] += number

    def _show(self) -> None:
        if self._console.is_terminal:
            with Live(console=self._console, refresh_per_second=4) as live:
                self._repeat(LIVE_INTERVAL_S, live.update)
        else:
            self._repeat(LOG_INTERVAL_S, _log.info)

    def _repeat(self, interval_s: float, show: Callable[[str], object]) -> None:
        began = last = time.monotonic()
        read_before, rate, stopped = 0, 0.0, False
        while not stopped:
            stopped = self._stop.wait(interval_s)
            now = time.monotonic()
            with self._lock:
                totals = dict(self.totals)
            read = totals.get(metrics.MESSAGES_READ.name, 0)
            rate = 0.5 * rate + 0.5 * (read - read_before) / (now - last)
            read_before, last = read, now
            show(line(totals, now - began, read / (now - began) if stopped else rate))
