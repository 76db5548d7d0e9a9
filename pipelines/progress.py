"""What a run shows while it works: one live line on a terminal, plain log lines elsewhere."""

from __future__ import annotations

import argparse
import datetime as dt
import logging
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import NamedTuple, TextIO

from apache_beam.options.pipeline_options import PipelineOptions
from rich.console import Console
from rich.live import Live

from pipelines.figures import WRITING, Figures, counts
from pipelines.rate import Rate
from transforms import metrics
from transforms.duration import parse_duration

__all__ = ["Display", "JobLine", "Progress", "ProgressOptions", "Seen", "job_line", "line"]

_log = logging.getLogger("headrace")

LIVE_INTERVAL_S = 0.25
AGE_MAX_S = 86_400
"""A watermark that is older is that of a replay: its date says more than its age."""


class ProgressOptions(PipelineOptions):
    """How progress is shown."""

    @classmethod
    def _add_argparse_args(cls, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--log_every",
            default="10s",
            metavar="DURATION",
            help="How often progress is logged where the output is no terminal. Default: 10s.",
        )

    @property
    def log_every_s(self) -> float:
        """The interval in seconds; a ConfigError if it is none."""
        return parse_duration(self.log_every, "--log_every")


def line(
    totals: Mapping[str, int], elapsed_s: float, rate: float, figures: Figures = WRITING
) -> str:
    """Return the state of a bounded run as one line that fits into 80 columns.

    Args:
        totals: the latest number of each metric by name.
        elapsed_s: since the run began.
        rate: messages per second, lately.
        figures: what is told.
    """
    text = f"{elapsed_s:.1f} s  {counts(totals, rate, figures)}"
    backlog = totals.get(metrics.BACKLOG.name)
    return text if backlog is None else f"{text}  lag {backlog:,}"


def job_line(
    totals: Mapping[str, int],
    epoch: int,
    watermark: str,
    rate: float,
    figures: Figures = WRITING,
) -> str:
    """Return the state of a job without end as one line, what counts most at its left.

    Args:
        totals: the latest number of each metric by name.
        epoch: the last one.
        watermark: how far event time has come, in words.
        rate: messages per second, lately.
        figures: what is told.
    """
    return f"{counts(totals, rate, figures)}  epoch {epoch:,}  {watermark}".rstrip()


class Display:
    """Show a line again and again until the context is left.

    Args:
        live: returns the line for a terminal; it is given True at the last time.
        log: returns the line for a log, None if there is nothing new; by default as ``live``.
        begun: whether there is anything to tell; a context that is left before by an error is left
            without a last line.
        log_every_s: how often there is a line in a log.
        stream: where to show it.
    """

    def __init__(
        self,
        live: Callable[[bool], str],
        log: Callable[[bool], str | None] | None = None,
        *,
        begun: Callable[[], bool],
        log_every_s: float = 10.0,
        stream: TextIO = sys.stderr,
    ) -> None:
        self._live = live
        self._log_every_s = log_every_s
        self._log = log or live
        self._begun, self._failed = begun, False
        self._console = Console(file=stream, highlight=False)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._show, name="progress", daemon=True)

    def __enter__(self) -> Display:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._failed = error is not None
        self._stop.set()
        self._thread.join()

    def _show(self) -> None:
        if self._console.is_terminal:
            with Live(console=self._console, refresh_per_second=4) as live:
                self._repeat(LIVE_INTERVAL_S, self._live, live.update)
                live.transient = self._in_vain()
        else:
            self._repeat(self._log_every_s, self._log, _log.info)

    def _repeat(
        self,
        interval_s: float,
        text: Callable[[bool], str | None],
        show: Callable[[str], object],
    ) -> None:
        last = False
        while not last:
            last = self._stop.wait(interval_s)
            found = None if last and self._in_vain() else text(last)
            if found is not None:
                show(found)

    def _in_vain(self) -> bool:
        return self._failed and not self._begun()


class Progress:
    """Watch the metrics of this process and show them until the context is left.

    Args:
        stream: where to show them.
        log_every_s: how often there is a line in a log.
        figures: what is told.
    """

    def __init__(
        self,
        stream: TextIO = sys.stderr,
        log_every_s: float = 10.0,
        figures: Figures = WRITING,
    ) -> None:
        self._figures = figures
        self.totals: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._display = Display(
            self._text, begun=self._begun, log_every_s=log_every_s, stream=stream
        )
        self._began_s = time.monotonic()
        self._rate = Rate(self._began_s, 0)

    def __enter__(self) -> Progress:
        self._began_s = time.monotonic()
        self._rate = Rate(self._began_s, 0)
        metrics.watch(self._changed)
        self._display.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        metrics.unwatch(self._changed)
        self._display.__exit__(kind, error, traceback)

    def _changed(self, metric: metrics.Metric, number: int) -> None:
        with self._lock:
            if isinstance(metric, metrics.Gauge):
                self.totals[metric.name] = number
            else:
                self.totals[metric.name] += number

    def _begun(self) -> bool:
        return any(self.totals.values())

    def _text(self, last: bool) -> str:
        now_s = time.monotonic()
        with self._lock:
            totals = dict(self.totals)
        read = totals.get(metrics.MESSAGES_READ.name, 0)
        elapsed_s = now_s - self._began_s
        rate = self._rate.after(now_s, read)
        return line(totals, elapsed_s, read / elapsed_s if last else rate, self._figures)


class Seen(NamedTuple):
    """How far a job without end has come.

    Attributes:
        totals: the committed number of each metric by name.
        epoch: the last one that was committed.
        watermark_us: in microseconds since 1970; None while there is none.
        time_s: for which the numbers are told; seconds of any clock.
    """

    totals: Mapping[str, int]
    epoch: int
    watermark_us: int | None
    time_s: float


class JobLine:
    """The line of a job without end, from the numbers that its runner has committed.

    Args:
        progress: returns how far the job is.
        clock: seconds since 1970.
        figures: what is told.
    """

    def __init__(
        self,
        progress: Callable[[], Seen],
        clock: Callable[[], float] = time.time,
        figures: Figures = WRITING,
    ) -> None:
        self._progress = progress
        self._figures = figures
        self._clock = clock
        seen = progress()
        self._rate = Rate(seen.time_s, _read(seen))
        self._logged: Mapping[str, int] | None = None

    def begun(self) -> bool:
        """Tell whether anything was committed, by this start or an earlier one."""
        return any(self._progress().totals.values())

    def live(self, _last: bool = False) -> str:
        """Return the line as it is now."""
        return self._text(self._progress())

    def log(self, last: bool = False) -> str | None:
        """Return the line if a number has changed since the last time."""
        seen = self._progress()
        text = self._text(seen)  # each look counts for the rate, whether it is told or not
        if seen.totals == self._logged and not last:
            return None
        self._logged = seen.totals
        return text

    def _text(self, seen: Seen) -> str:
        rate = self._rate.after(seen.time_s, _read(seen))
        watermark = self._watermark(seen.watermark_us)
        return job_line(seen.totals, seen.epoch, watermark, rate, self._figures)

    def _watermark(self, watermark_us: int | None) -> str:
        """Say how old the watermark is, or, where that says nothing, when it is."""
        if watermark_us is None:
            return ""
        age_s = self._clock() - watermark_us / 1e6
        if age_s < AGE_MAX_S:
            return f"watermark {max(age_s, 0.0):.1f} s ago"
        return f"watermark {_EPOCH + dt.timedelta(microseconds=watermark_us):%Y-%m-%d %H:%M}"


def _read(seen: Seen) -> int:
    return seen.totals.get(metrics.MESSAGES_READ.name, 0)


_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)
