"""Progress: what a run shows while it works."""

import io

from pipelines.progress import Progress, line
from transforms import metrics


def test_line_names_what_a_user_watches() -> None:
    """Messages, speed, rows, duplicates, dead letters and lag are all in one line."""
    totals = {"messages_read": 12_345, "duplicates": 3, "dead_letters": 2, "backlog": 9_000}
    text = line(totals, 2.5, 4_938.0)
    assert "12,345 read  4,938/s" in text
    assert "3 dup" in text
    assert "2 dead" in text
    assert "lag 9,000" in text


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
