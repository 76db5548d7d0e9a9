"""What there is among dead letters, as a text."""

import datetime as dt

from connectors.dead_letter.report import Summary, summarize
from transforms.batch import Batch
from transforms.failure import FAILURE_SCHEMA

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc)


def failures(step: str, kind: str, count: int, data: bytes | None = b"x") -> Batch:
    """Return failures of one kind."""
    row = {
        "schema_version": 1, "step": step, "error_kind": kind, "error": "why",
        "failed_at": NOW, "data": data,
    }  # fmt: skip
    return Batch.from_pylist([row] * count, FAILURE_SCHEMA)


def test_counts_and_samples_by_step_and_kind() -> None:
    """The most come first, with three samples at most however many batches there were."""
    total = Summary()
    for _ in range(2):
        total.add(summarize(failures("Parse", "bad", 2), "to replay"))
    total.add(summarize(failures("Write", "odd", 1_200), "not meant"))
    lines = total.text().splitlines()
    assert [line for line in lines if not line.startswith(" " * 10)] == [
        "    1,200  not meant  Write: odd",
        "        4  to replay  Parse: bad",
        "    1,204  read = 1,200 not meant + 4 to replay",
    ]
    assert len(lines) == 9
    assert lines[1].strip() == "2026-01-01T00:00:00+00:00  why  'x'"


def test_long_payloads_and_none_are_shown_short() -> None:
    """A sample is a line."""
    _, sample, _ = summarize(failures("s", "k", 1, b"\xff\n" * 5_000), "x").text().splitlines()
    assert sample.endswith("...")
    _, sample, _ = summarize(failures("s", "k", 1, None), "x").text().splitlines()
    assert sample.endswith("''")


def test_nothing_is_said_too() -> None:
    """Silence would leave open whether anything was read."""
    assert Summary().text() == "no dead letters were found"
    assert summarize(failures("s", "k", 0), "x").text() == "no dead letters were found"
