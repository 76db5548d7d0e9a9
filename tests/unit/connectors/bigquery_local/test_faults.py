"""Faults: they strike the calls that they are meant for, as often as they were asked to."""

import pytest

from connectors.bigquery_local.errors import Code, Refusal
from connectors.bigquery_local.faults import Fault, Faults, Injected, strike_now


def test_times_and_skip() -> None:
    """The first calls go well, then some fail, then none."""
    faults = Faults()
    faults.add(Fault("ABORTED", times=2, skip=1))
    struck = [faults.strike("AppendRows", "s") is not None for _ in range(5)]
    assert struck == [False, True, True, False, False]
    assert faults.left() == 0


def test_target_and_method() -> None:
    """Only the calls that match use a fault up."""
    faults = Faults()
    faults.add(Fault("INTERNAL", target="tables/a/", method="FlushRows"))
    assert faults.strike("AppendRows", "tables/a/streams/1") is None
    assert faults.strike("FlushRows", "tables/b/streams/1") is None
    assert faults.left() == 1
    assert faults.strike("FlushRows", "tables/a/streams/1")


def test_before_and_after() -> None:
    """A fault has one moment; without a code it has none."""
    before, after = Fault("UNAVAILABLE"), Fault("UNAVAILABLE", after=True)
    with pytest.raises(Injected) as caught:
        strike_now(before, after=False)
    assert caught.value.code is Code.UNAVAILABLE
    strike_now(before, after=True)
    strike_now(after, after=False)
    with pytest.raises(Injected):
        strike_now(after, after=True)
    strike_now(Fault(delay_s=0.001), after=False)
    strike_now(None, after=False)


def test_clear() -> None:
    """Nothing is left."""
    faults = Faults()
    faults.add(Fault("ABORTED", times=9))
    faults.clear()
    assert faults.strike("AppendRows", "s") is None


@pytest.mark.parametrize("body", [{"code": "BROKEN"}, {"cod": "ABORTED"}, {"target": "("}])
def test_bad_faults(body: dict[str, str]) -> None:
    """A fault that could not happen is refused."""
    with pytest.raises(Refusal, match="fault"):
        Fault.from_json(body)
