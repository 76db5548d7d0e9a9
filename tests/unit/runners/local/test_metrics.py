"""Sums of Beam's metrics, over bundles and restarts."""

import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from apache_beam.metrics import MetricsFilter
from apache_beam.metrics.cells import DistributionData

from runners.local import metrics
from runners.local.internals import monitoring_infos
from runners.local.metrics import Totals

COUNT = "beam:metric:element_count:v1"


def count(value: int, name: str = "seen") -> Any:
    return monitoring_infos.int64_user_counter("space", name, value, ptransform="step")


def counted(totals: Totals, name: str = "seen") -> int:
    query = totals.query(user_only=True).query(MetricsFilter().with_name(name))
    return sum(result.committed for result in query["counters"])


def test_bundles_are_summed_up() -> None:
    """Counters add up, distributions join, each by step and name."""
    totals = Totals()
    totals.add([count(2), count(10, "other")])
    totals.add([count(3)])
    for data in (DistributionData(5, 1, 5, 5), DistributionData(4, 2, 1, 3)):
        totals.add(
            [monitoring_infos.int64_user_distribution("space", "sizes", data, ptransform="step")]
        )
    assert (counted(totals), counted(totals, "other")) == (5, 10)
    (sizes,) = totals.query(user_only=True).query()["distributions"]
    assert (sizes.committed.sum, sizes.committed.count) == (9, 3)
    assert (sizes.committed.min, sizes.committed.max) == (1, 5)


def test_user_metrics_survive_a_restart() -> None:
    """The user's go on where they were; Beam's own count from the start of the process."""
    first = Totals()
    first.add([count(2), monitoring_infos.int64_counter(COUNT, 7, ptransform="step")])
    assert {info.urn for info in first.infos()} == {monitoring_infos.USER_COUNTER_URN, COUNT}
    second = Totals()
    second.add([count(100)])
    second.load(first.encode())
    second.add([count(1)])
    assert counted(second) == 3
    assert {info.urn for info in second.infos()} == {monitoring_infos.USER_COUNTER_URN}
    second.load(None)
    assert second.infos() == []


def test_user_metrics_alone() -> None:
    """Of what bundles report that changed nothing, the user's metrics count."""
    totals = Totals()
    ours = monitoring_infos.int64_counter(COUNT, 7, ptransform="step")
    assert not totals.add_user([ours])
    assert totals.infos() == []
    assert totals.add_user([ours, count(2)])
    assert counted(totals) == 2
    assert len(totals.infos()) == 1


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """What nobody asks for is added up all the same, every so often."""
    monkeypatch.setattr(metrics, "FRESH_MAX", 10)
    totals = Totals()
    for _ in range(100):
        totals.add([count(1), monitoring_infos.int64_counter(COUNT, 1, ptransform="step")])
        assert len(totals._own._fresh) <= 10
        assert len(totals._user._fresh) <= 10
    assert counted(totals) == 100


@pytest.fixture
def reader() -> Iterator[Totals]:
    totals = Totals()
    over = threading.Event()

    def read() -> None:
        while not over.is_set():
            totals.query(user_only=True)

    thread = threading.Thread(target=read)
    interval_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    thread.start()
    yield totals
    over.set()
    thread.join()
    sys.setswitchinterval(interval_s)


def test_who_reads_takes_nothing_away(reader: Totals) -> None:
    """A query from another thread loses nothing of what is counted meanwhile."""
    for _ in range(2_000):
        reader.add([count(1)])
    assert counted(reader) == 2_000
