"""Delays of triggers keep their milliseconds on the way through the protocol."""

import pytest
from apache_beam.transforms.trigger import (
    AfterAll,
    AfterAny,
    AfterCount,
    AfterEach,
    AfterProcessingTime,
    AfterWatermark,
    OrFinally,
    Repeatedly,
    TriggerFn,
)

from runners.local.delays import restore_delays
from transforms.triggers import early, every

SHORT = every(0.25).underlying


@pytest.mark.parametrize(
    "trigger",
    [
        SHORT,
        Repeatedly(SHORT),
        AfterAll(AfterCount(3), SHORT),
        AfterAny(SHORT, SHORT),
        AfterEach(SHORT, AfterCount(2)),
        OrFinally(Repeatedly(SHORT), AfterCount(5)),
        AfterWatermark(late=SHORT),
        early(0.25),
    ],
    ids=repr,
)
def test_milliseconds_are_kept(trigger: TriggerFn) -> None:
    """Beam's class reads 250 ms as 0 s; then it is set right, however deep it lies."""
    proto = trigger.to_runner_api(None)
    read = TriggerFn.from_runner_api(proto, None)
    assert delays(read) == [0.0] * len(delays(read))
    restore_delays(read, proto)
    assert delays(read) == [0.25] * len(delays(trigger))
    assert delays(read)


def test_whole_seconds_stay_as_they_are() -> None:
    """What Beam's own trigger says is what is read."""
    proto = AfterProcessingTime(30).to_runner_api(None)
    read = TriggerFn.from_runner_api(proto, None)
    restore_delays(read, proto)
    assert read.delay == 30


def delays(trigger: TriggerFn) -> list[float]:
    """Return the delays within a trigger, in order."""
    if isinstance(trigger, AfterProcessingTime):
        return [trigger.delay]
    parts = [
        *getattr(trigger, "triggers", ()),
        *(getattr(trigger, name, None) for name in ("underlying", "early", "late")),
    ]
    return [delay for part in parts if part for delay in delays(part)]
