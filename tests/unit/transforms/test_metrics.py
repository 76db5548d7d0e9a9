"""Metrics: one table, counted for Beam and shown in process."""

import apache_beam as beam
from apache_beam.metrics.metric import MetricsFilter
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from transforms import metrics


class Count(beam.DoFn):
    def process(self, number: int) -> None:
        metrics.DUPLICATES.inc(number)
        metrics.BACKLOG.set(number)


def test_names_are_unique_and_explained() -> None:
    """Every metric is in the table once, with unit and meaning."""
    names = [metric.name for metric in metrics.TABLE]
    assert len(names) == len(set(names))
    assert all(metric.unit and metric.meaning for metric in metrics.TABLE)


def test_counter_reaches_beam_and_watchers() -> None:
    """One increase is seen by the runner's result and by whoever watches in this process."""
    seen: list[tuple[str, int]] = []

    def watcher(metric: metrics.Metric, number: int) -> None:
        seen.append((metric.name, number))

    metrics.watch(watcher)
    try:
        with beam.Pipeline(runner=FnApiRunner()) as pipeline:
            pipeline | beam.Create([2, 3]) | beam.ParDo(Count())
    finally:
        metrics.unwatch(watcher)
    wanted = MetricsFilter().with_name(metrics.DUPLICATES.name)
    counters = pipeline.result.metrics().query(wanted)["counters"]
    assert [counter.committed for counter in counters] == [5]
    assert sorted(seen) == [("backlog", 2), ("backlog", 3), ("duplicates", 2), ("duplicates", 3)]


def test_nothing_is_counted_for_nothing() -> None:
    """An increase by zero is silent: healthy steps make no noise."""
    seen: list[int] = []

    def watcher(_metric: metrics.Metric, number: int) -> None:
        seen.append(number)

    metrics.watch(watcher)
    metrics.DUPLICATES.inc(0)
    metrics.unwatch(watcher)
    assert seen == []
