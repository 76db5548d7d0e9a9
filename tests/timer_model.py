"""What Beam says about state and timers, told one element at a time.

A reference for runners, in plain dicts. The rules:

- State and timers belong to a key and window. An element of a window that the watermark and the
  allowed lateness have passed is dropped; what belongs to such a window is forgotten.
- A timer fires once, when the watermark, or processing time, has reached it, in order of time. Set
  again, it forgets its former time.
- A timer that fires may set itself anew and clear others, which holds for those that were due
  together with it.
- A timer in event time holds the watermark of the output until it has fired.
- When the input ends, all timers fire, in processing time too.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from tests.local_model import FOREVER, Later, Row, Watermark, Window

EVENT = "event"
PROCESSING = "processing"


class Order(NamedTuple):
    """An element that sets a timer of its key, or clears it.

    Attributes:
        to: when the timer fires; None clears it.
        again: how often the timer, when it fires, sets itself anew, ``step`` later.
        clears: tag of a timer of the same domain that it clears when it fires.
    """

    key: str
    number: int
    time: float
    domain: str
    tag: str
    to: float | None
    again: int = 0
    step: float = 0.0
    clears: str | None = None


class Fired(NamedTuple):
    """A timer that has fired.

    Attributes:
        to: the time it was set to.
        number: of the element that has set it first.
        seen: how many elements the key and window had by then.
    """

    key: str
    window: Window
    domain: str
    tag: str
    to: float
    number: int
    seen: int


Event = tuple[Order, ...] | Watermark | Later
_Place = tuple[str, Window]


class TimerModel:
    """Plays events, and tells which timers fire.

    Args:
        assign: the windows of a time.
        lateness: how long behind its end a window takes elements.
    """

    def __init__(self, assign: Callable[[float], Iterable[Window]], lateness: float) -> None:
        self._assign, self._lateness = assign, lateness
        self._timers: dict[_Place, dict[tuple[str, str], Order]] = defaultdict(dict)
        self._seen: Counter[_Place] = Counter()
        self._reached = {EVENT: -FOREVER, PROCESSING: 0.0}
        self._promised = -FOREVER

    def play(self, events: Iterable[Event]) -> list[Fired]:
        """Return what fires, in order for each key, window and domain."""
        return [each for fired, _ in self.steps(events) for each in fired]

    def steps(self, events: Iterable[Event]) -> Iterator[tuple[list[Fired], float]]:
        """Yield for each event, and the end of time, what fires and the watermark behind it."""
        for event in [*events, Watermark(FOREVER)]:
            fired = list(self._play(event))
            holds = (order.to for timers in self._timers.values() for order in timers.values()
                     if order.domain == EVENT and order.to is not None)  # fmt: skip
            self._promised = max(self._promised, min([self._reached[EVENT], *holds]))
            yield fired, self._promised

    def rows(self, events: Iterable[Event]) -> Iterator[tuple[Row, ...] | Watermark]:
        """Yield what the next step sees: what fires, at the time it was set to, and watermarks."""
        for fired, watermark in self.steps(events):
            yield tuple(Row(each.key, each.number, each.to) for each in fired)
            yield Watermark(watermark)

    def _play(self, event: Event) -> Iterator[Fired]:
        if isinstance(event, Watermark):
            self._reached[EVENT] = max(self._reached[EVENT], event.time)
        elif isinstance(event, Later):
            self._reached[PROCESSING] += event.seconds
        else:
            for order in event:
                self._set(order)
        yield from self._fire()
        if self._reached[EVENT] == FOREVER:
            self._reached[PROCESSING] = FOREVER
            yield from self._fire()
        self._forget()

    def _is_over(self, window: Window) -> bool:
        return self._reached[EVENT] >= window.end + self._lateness

    def _set(self, order: Order) -> None:
        for window in self._assign(order.time):
            if self._is_over(window):
                continue
            place = order.key, window
            self._seen[place] += 1
            if order.to is None:
                self._timers[place].pop((order.domain, order.tag), None)
            else:
                self._timers[place][order.domain, order.tag] = order

    def _fire(self) -> Iterator[Fired]:
        for place, timers in self._timers.items():
            while due := [
                (order.to, order)
                for order in timers.values()
                if order.to is not None and order.to <= self._reached[order.domain]
            ]:
                to, order = min(due)
                del timers[order.domain, order.tag]
                yield Fired(*place, order.domain, order.tag, to, order.number, self._seen[place])
                if order.clears is not None:
                    timers.pop((order.domain, order.clears), None)
                if order.again:
                    again = order._replace(to=to + order.step, again=order.again - 1)
                    timers[order.domain, order.tag] = again

    def _forget(self) -> None:
        for place in [place for place in self._seen if self._is_over(place[1])]:
            self._timers.pop(place, None)
            del self._seen[place]
