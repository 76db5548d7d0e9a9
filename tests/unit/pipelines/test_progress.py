"""Progress: what a run shows while it works."""

import io
import logging

import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from pipelines.progress import (
    Display,
    JobLine,
    Progress,
    ProgressOptions,
    Seen,
    job_line,
    line,
)
from transforms import metrics
from transforms.errors import ConfigError


def test_line_names_what_a_user_watches() -> None:
    """Messages, speed, rows, duplicates, dead letters and lag are all in one line."""
    totals = {"messages_read": 12_345, "duplicates": 3, "dead_letters": 2, "backlog": 9_000}
    text = line(totals, 2.5, 4_938.0)
    assert "12,345 read  4,938/s" in text
    assert "3 dup" in text
    assert "2 dead" in text
    assert "lag 9,000" in text


def test_line_accounts_for_what_a_function_made() -> None:
    """Rows that it made, left out and routed are told as soon as there are any."""
    totals = {"messages_read": 10, "rows_made": 4, "rows_written": 6, "rows_filtered": 3}
    text = line(totals | {"rows_routed": 5}, 1.0, 10.0)
    assert "10 read  10/s  6 written  0 dup  0 dead  4 made  3 filtered  5 routed" in text


def test_line_of_a_large_run_fits_a_terminal() -> None:
    """Millions of messages don't break the line at 80 columns."""
    totals = {"messages_read": 9_999_999, "rows_written": 9_999_999, "duplicates": 499_999}
    assert len(line(totals, 99.9, 499_999.0)) <= 80


def test_totals_follow_the_metrics() -> None:
    """Counters add up and gauges keep their latest value, until the context is left."""
    with Progress(io.StringIO()) as progress:
        metrics.MESSAGES_READ.inc(2)
        metrics.MESSAGES_READ.inc(3)
        metrics.BACKLOG.set(7)
        metrics.BACKLOG.set(4)
    metrics.MESSAGES_READ.inc(100)
    assert progress.totals == {"messages_read": 5, "backlog": 4}


def test_terminal_codes_stay_out_of_a_file() -> None:
    """Where the output is no terminal, nothing but log lines is written."""
    stream = io.StringIO()
    with Progress(stream):
        metrics.MESSAGES_READ.inc(1)
    assert stream.getvalue() == ""


class Job:
    """A job whose numbers and clock are set by the test."""

    def __init__(self) -> None:
        self.totals: dict[str, int] = {}
        self.watermark_us: int | None = None
        self.now_s = 1_700_000_000.0
        self.line = JobLine(self.progress, lambda: self.now_s)

    def progress(self) -> Seen:
        return Seen(dict(self.totals), 7, self.watermark_us, self.now_s)

    def read(self, number: int) -> None:
        self.totals["messages_read"] = self.totals.get("messages_read", 0) + number


def test_line_of_a_job_tells_how_far_it_is() -> None:
    """The line of a job without end has the counts, the epoch and the watermark."""
    totals = {"messages_read": 12_345, "rows_written": 12_000, "duplicates": 3, "dead_letters": 2}
    text = job_line(totals, 42, "watermark 0.3 s ago", 4_938.0)
    assert text == (
        "12,345 read  4,938/s  12,000 written  3 dup  2 dead  epoch 42  watermark 0.3 s ago"
    )


def test_first_line_of_a_log_has_a_rate() -> None:
    """What the first interval has read counts; what an earlier start has read does not."""
    job = Job()
    job.read(1_000_000)
    job.line = JobLine(job.progress, lambda: job.now_s)
    job.now_s += 10.0
    job.read(20_000)
    assert "  2,000/s  " in str(job.line.log())


def test_pause_that_was_not_told_is_not_in_the_rate() -> None:
    """A job that has idled for an hour tells the rate of what comes then."""
    job = Job()
    for _ in range(360):
        job.now_s += 10.0
        job.line.log()
    job.now_s += 10.0
    job.read(20_000)
    assert "  2,000/s  " in str(job.line.log())


def test_watermark_is_an_age_or_a_date() -> None:
    """Live data are told by their delay, a replay by its date, and nothing by nothing."""
    job = Job()
    assert job.line.live().endswith("epoch 7")
    job.watermark_us = int((job.now_s - 1.25) * 1e6)
    assert job.line.live().endswith("watermark 1.2 s ago")
    job.watermark_us = int((job.now_s + 60) * 1e6)
    assert job.line.live().endswith("watermark 0.0 s ago")
    job.watermark_us = 1_357_035_300_000_000
    assert job.line.live().endswith("watermark 2013-01-01 10:15")
    job.watermark_us = -86_400_000_000
    assert job.line.live().endswith("watermark 1969-12-31 00:00")


def test_log_is_silent_while_nothing_happens() -> None:
    """A job that idles adds no lines to a log, but says at its end how far it came."""
    job = Job()
    job.read(1)
    assert job.line.log() is not None
    job.now_s += 3_600
    job.watermark_us = int(job.now_s * 1e6)
    assert job.line.log() is None
    assert job.line.log(True) is not None
    job.read(1)
    assert job.line.log() is not None


def test_display_ends_with_the_last_line(caplog: pytest.LogCaptureFixture) -> None:
    """However short a run is, its last line is shown."""
    with caplog.at_level(logging.INFO), display(io.StringIO(), begun=False):
        pass
    assert caplog.messages == ["last: True"]


class Terminal(io.StringIO):
    """A text that looks like a terminal."""

    def isatty(self) -> bool:
        return True


def display(stream: io.StringIO, *, begun: bool) -> Display:
    return Display(lambda last: f"last: {last}", begun=lambda: begun, stream=stream)


@pytest.mark.parametrize("begun", [False, True])
def test_failed_run_has_a_line_if_it_has_begun(
    caplog: pytest.LogCaptureFixture, begun: bool
) -> None:
    """A refused start shows its error alone; a run that fails later says how far it was."""
    terminal = Terminal()
    with caplog.at_level(logging.INFO):
        for stream in (io.StringIO(), terminal):
            with pytest.raises(ValueError, match="refused"), display(stream, begun=begun):
                raise ValueError("refused")
    assert caplog.messages == ["last: True"] * begun
    erase_line = "\x1b[2K"
    assert terminal.getvalue().endswith(erase_line) is not begun


def test_log_interval_is_an_option() -> None:
    """How often there is a line in a log is said on the command line, and checked."""
    assert PipelineOptions([]).view_as(ProgressOptions).log_every_s == 10.0
    assert PipelineOptions(["--log_every=500ms"]).view_as(ProgressOptions).log_every_s == 0.5
    with pytest.raises(ConfigError, match="--log_every='often'"):
        _ = PipelineOptions(["--log_every=often"]).view_as(ProgressOptions).log_every_s
