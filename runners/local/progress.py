"""How far a job has come, for those who watch it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Progress", "numbers_of"]


@dataclass(frozen=True)
class Progress:
    """How far a job has come.

    Attributes:
        epoch: the last one that was committed.
        watermark_us: event time that the slowest source has reached, in microseconds since 1970;
            None where nothing is known yet, or where there is no source without end.
        numbers: user counters, summed over the steps, and the latest values of user gauges, by
            namespace and name. Only committed work counts, that of earlier starts too.
        time_s: for which the numbers are told, in seconds of ``time.monotonic``: when the last
            epoch has ended. What is at work now is in the numbers of a later time.
    """

    epoch: int
    watermark_us: int | None
    numbers: Mapping[tuple[str, str], int]
    time_s: float


def numbers_of(results: Any) -> dict[tuple[str, str], int]:
    """Return the counters and gauges of Beam's ``MetricResults`` as ``Progress`` has them."""
    found = results.query()
    numbers: Counter[tuple[str, str]] = Counter()
    for counter in found["counters"]:
        numbers[_name(counter)] += counter.committed or 0
    for gauge in found["gauges"]:
        if gauge.committed is not None:
            numbers[_name(gauge)] = gauge.committed.value
    return dict(numbers)


def _name(result: Any) -> tuple[str, str]:
    metric = result.key.metric
    return metric.namespace, metric.name
