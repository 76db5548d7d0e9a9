"""Which failures are meant."""

import datetime as dt

import pytest

from connectors.dead_letter.select import Selection
from transforms.batch import Batch
from transforms.failure import FAILURE_SCHEMA

DAY = dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc)


def failures() -> Batch:
    """Return four failures of two pipelines, an hour apart, the last of unknown time."""
    rows = [
        {
            "schema_version": 1, "pipeline": pipeline, "step": step, "error_kind": kind,
            "error": "x", "failed_at": None if hour is None else DAY + dt.timedelta(hours=hour),
        }
        for pipeline, step, kind, hour in [
            ("one", "Parse", "bad", 0), ("one", "Write", "bad", 1),
            ("two", "Parse", "odd", 2), (None, "Parse", "bad", None),
        ]
    ]  # fmt: skip
    return Batch.from_pylist(rows, FAILURE_SCHEMA)


CASES = [
    (Selection(), [0, 1, 2, 3]),
    (Selection(pipelines=["one"]), [0, 1]),
    (Selection(steps=["Parse"]), [0, 2, 3]),
    (Selection(steps=["Parse", "Write"], error_kinds=["bad"]), [0, 1, 3]),
    (Selection(since=DAY + dt.timedelta(hours=1)), [1, 2]),
    (Selection(until=DAY + dt.timedelta(hours=1)), [0]),
    (Selection(since=DAY, until=DAY + dt.timedelta(hours=2), steps=["Parse"]), [0]),
    (Selection(error_kinds=["none"]), []),
]


@pytest.mark.parametrize(("selection", "rows"), CASES)
def test_all_conditions_must_be_met(selection: Selection, rows: list[int]) -> None:
    """Names are alternatives, conditions add up; an unknown time or name meets no condition."""
    mask = selection.mask(failures()).to_pylist()
    assert [row for row, meant in enumerate(mask) if meant] == rows
    assert len(mask) == 4


@pytest.mark.parametrize("selection", [case[0] for case in CASES])
def test_nothing_has_no_rows(selection: Selection) -> None:
    """An empty batch is no special case."""
    assert len(selection.mask(failures().slice(0, 0))) == 0
