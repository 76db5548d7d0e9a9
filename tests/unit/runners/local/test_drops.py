"""Which steps drop late elements is said, and not too often."""

import pytest
from apache_beam.coders import VarIntCoder

from runners.local import drops


def test_each_step_is_named_once_a_minute(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A step that drops on and on does not fill the log; another one is named as well."""
    now_s = 0.0
    monkeypatch.setattr(drops.time, "monotonic", lambda: now_s)
    told = drops.Drops()
    for now_s, step in ((0.0, "Count"), (1.0, "Count"), (2.0, "Sum"), (61.0, "Count")):  # noqa: B007
        told.note(step, 1)
    steps = [record.args for record in caplog.records]
    assert steps == [("Count",), ("Sum",), ("Count",)]


def test_what_is_dropped_is_counted_once_and_by_its_weight() -> None:
    """An epoch takes what was counted; one that was taken back forgets it."""
    weighed = drops.Drops(len)
    assert weighed.weight("abc") == 3
    weighed.note("Count", 3)
    weighed.forget()
    weighed.note("Count", 2)
    weighed.note("Count", 1)
    weighed.note("Sum", 5)
    counted = {
        info.labels["PTRANSFORM"]: VarIntCoder().decode(info.payload) for info in weighed.take()
    }
    assert counted == {"Count": 3, "Sum": 5}
    assert weighed.take() == []


def test_message_says_both_reasons(caplog: pytest.LogCaptureFixture) -> None:
    """Elements are dropped for their time, and for a trigger that has finished."""
    drops.Drops().note("Count", 1)
    assert "windows had expired" in caplog.text
    assert "trigger had finished" in caplog.text
