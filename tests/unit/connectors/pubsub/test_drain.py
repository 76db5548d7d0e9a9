"""When a bounded read pulls and when it ends, as tables of what happened."""

from __future__ import annotations

import math
from typing import NamedTuple

import pytest

from connectors.pubsub.drain import UNLIMITED, Drain, Pull, Stop


class Came(NamedTuple):
    """A pull came back ``after_s``, with so many messages; the server counts ``left``."""

    after_s: float
    delivered: int = 0
    new: int | None = None
    left: int | None = None


def play(drain: Drain, came: list[Came]) -> Pull | Stop:
    """Return the step after all that; every step before must be a pull."""
    now_s, held = drain.started_s, 0
    for event in came:
        assert isinstance(drain.next(now_s), Pull)
        now_s += event.after_s
        new = event.delivered if event.new is None else event.new
        held += new
        drain.pulled(
            now_s, delivered=event.delivered, new=new, held=held, unacknowledged=event.left
        )
    return drain.next(now_s)


@pytest.mark.parametrize(
    ("limits", "came", "step"),
    [
        pytest.param({}, [], Pull(UNLIMITED, 0.0), id="the first pull does not wait"),
        pytest.param({}, [Came(0.1, left=0)], Stop.DRAINED, id="nothing there"),
        pytest.param({}, [Came(0.1, 5, left=5)], Stop.DRAINED, id="all that is left is held by us"),
        pytest.param({}, [Came(0.1, 5, left=6)], Pull(UNLIMITED, 1.0), id="someone holds another"),
        pytest.param(
            {}, [Came(0.1, 5, left=6), Came(0.1, left=5)], Stop.DRAINED, id="who acknowledges it"
        ),
        pytest.param(
            {}, [Came(0.1, 5, left=5_000), Came(1, 5, left=10)], Stop.DRAINED, id="second batch"
        ),
        pytest.param(
            {}, [Came(0.1, 5, left=6), *[Came(1.0, left=6)] * 12], Stop.IDLE, id="who never does"
        ),
        pytest.param(
            {},
            [Came(0.1, 5, left=9), *[Came(1.0, left=9)] * 11, Came(1.0, left=8)],
            Pull(UNLIMITED, 1.0),
            id="others get on: wait for them anew",
        ),
        pytest.param({}, [Came(0.1, 5)], Pull(UNLIMITED, 1.0), id="a server that does not count"),
        pytest.param({}, [Came(0.0), *[Came(1.0)] * 11], Pull(UNLIMITED, 1.0), id="idle too short"),
        pytest.param({}, [Came(0.0), *[Came(1.0)] * 11, Came(0.5)], Pull(UNLIMITED, 0.5), id="end"),
        pytest.param({}, [Came(0.0), *[Came(1.0)] * 12], Stop.IDLE, id="idle"),
        pytest.param(
            {}, [Came(0.0), *[Came(1.0)] * 11, Came(1, 1), *[Came(1.0)] * 11], Pull(UNLIMITED, 1.0),
            id="an arrival begins the idle time anew",
        ),
        pytest.param(
            {}, [Came(0.0), *[Came(60.0)] * 11], Pull(UNLIMITED, 1.0), id="outages don't count"
        ),
        pytest.param({"max_messages": 7}, [Came(1.0, 5)], Pull(2, 1.0), id="only what is left"),
        pytest.param({"max_messages": 5}, [Came(1.0, 5)], Stop.MAX_MESSAGES, id="limit reached"),
        pytest.param(
            {"max_messages": 5}, [Came(1.0, 5, new=3)], Pull(2, 1.0), id="repeats don't count"
        ),
        pytest.param({"max_messages": 0}, [], Stop.MAX_MESSAGES, id="nothing wanted"),
        pytest.param({"max_seconds": 9}, [Came(8.25, 1)], Pull(UNLIMITED, 0.75), id="short wait"),
        pytest.param({"max_seconds": 9}, [Came(9.0, 1)], Stop.MAX_SECONDS, id="time is up"),
        pytest.param(
            {"max_seconds": 3}, [Came(0.1, 5, left=6), *[Came(1.0, left=6)] * 3], Stop.MAX_SECONDS,
            id="waiting for others ends with the time",
        ),
    ],
)  # fmt: skip
def test_next_step(limits: dict[str, int], came: list[Came], step: Pull | Stop) -> None:
    """The rules of the module, one by one, with an idle time of 12 s."""
    assert play(Drain(started_s=500.0, idle_s=12.0, **limits), came) == step


def test_endless_idle_time_is_never_drained() -> None:
    """A subscription that starts empty is read until a limit is reached, counted or not."""
    drain = Drain(started_s=0.0, idle_s=math.inf, max_seconds=100)
    assert play(drain, [Came(1.0, left=0)] * 99) == Pull(UNLIMITED, 1.0)
    assert drain.next(100.0) is Stop.MAX_SECONDS


def test_messages_of_others_are_known() -> None:
    """What a read leaves to others can be told at its end; an uncounted server tells nothing."""
    drain = Drain(started_s=0.0, idle_s=12.0)
    play(drain, [Came(0.1, 5, left=8)])
    assert drain.held_elsewhere == 3
    uncounted = Drain(started_s=0.0, idle_s=12.0)
    play(uncounted, [Came(0.1, 5)])
    assert uncounted.held_elsewhere == 0
