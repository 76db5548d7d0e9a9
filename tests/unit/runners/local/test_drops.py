"""Which steps drop late elements is said, and not too often."""

import pytest

from runners.local import drops


def test_each_step_is_named_once_a_minute(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A step that drops on and on does not fill the log; another one is named as well."""
    now_s = 0.0
    monkeypatch.setattr(drops.time, "monotonic", lambda: now_s)
    told = drops.Drops()
    for now_s, step in ((0.0, "Count"), (1.0, "Count"), (2.0, "Sum"), (61.0, "Count")):  # noqa: B007
        told.note(step)
    steps = [record.args for record in caplog.records]
    assert steps == [("Count",), ("Sum",), ("Count",)]
