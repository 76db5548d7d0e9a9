"""``Report``: what there is among dead letters, as a text for whoever is to decide about them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import apache_beam as beam
import pyarrow as pa
import pyarrow.compute as pc

from transforms.batch import Batch

__all__ = ["SAMPLES_MAX", "Report", "Summary", "summarize"]

SAMPLES_MAX = 3
"""Failures of each step and kind of error that are shown."""
TEXT_MAX = 100
"""Letters of a payload or an error that are shown."""

Group = tuple[str, str, str]
"""What is to become of a failure, its step, and its kind of error."""


@dataclass
class Summary:
    """Counts and a few samples of each group."""

    counts: Counter[Group] = field(default_factory=Counter)
    samples: dict[Group, list[str]] = field(default_factory=dict)

    def add(self, other: Summary) -> None:
        """Take in another summary."""
        self.counts.update(other.counts)
        for group, samples in other.samples.items():
            known = self.samples.setdefault(group, [])
            known += samples[: SAMPLES_MAX - len(known)]

    def text(self) -> str:
        """Return the counts, most first, each with its samples; then their sum, by fate."""
        if not self.counts:
            return "no dead letters were found"
        lines = []
        for group, count in sorted(self.counts.items(), key=lambda item: (-item[1], item[0])):
            fate, step, kind = group
            lines.append(f"{count:>9,}  {fate}  {step}: {kind}")
            lines += [f"{'':9}  {sample}" for sample in self.samples.get(group, [])]
        return "\n".join([*lines, self._sum()])

    def _sum(self) -> str:
        fates: Counter[str] = Counter()
        for (fate, _, _), count in self.counts.items():
            fates[fate] += count
        parts = (f"{count:,} {fate}" for fate, count in fates.most_common())
        return f"{fates.total():>9,}  read = {' + '.join(parts)}"


def summarize(failures: Batch, fate: str) -> Summary:
    """Return what is in a batch of failures.

    Args:
        failures: a batch with ``FAILURE_SCHEMA``.
        fate: what is to become of them, in a word.
    """
    summary = Summary()
    table = pa.Table.from_batches([failures.select(("step", "error_kind")).rows])
    for row in table.group_by(["step", "error_kind"]).aggregate([([], "count_all")]).to_pylist():
        group = (fate, row["step"], row["error_kind"])
        summary.counts[group] = row["count_all"]
        same = pc.and_(*(pc.equal(failures.column(name), row[name]) for name in table.column_names))
        first = failures.filter(same).slice(0, SAMPLES_MAX)
        summary.samples[group] = [_sample(failure) for failure in first.to_pylist()]
    return summary


def _sample(failure: dict[str, Any]) -> str:
    when = failure["failed_at"].isoformat() if failure["failed_at"] else "at an unknown time"
    data = failure["data"] or b""
    payload = repr(data[:TEXT_MAX])[1:] + ("..." if len(data) > TEXT_MAX else "")
    return f"{when}  {failure['error'][:TEXT_MAX]}  {payload}"


class Report(beam.PTransform):
    """Summarize failures: one text when all of them are there.

    Takes a mapping from what is to become of failures, in a word, to the failures. Bounded
    input only.
    """

    def expand(self, fates: dict[str, beam.PCollection[Batch]]) -> beam.PCollection[str]:
        """Summarize batch by batch, then all together."""
        parts = tuple(
            failures | f"Summarize {fate}" >> beam.Map(summarize, fate).with_output_types(Summary)
            for fate, failures in fates.items()
        )
        return (
            parts
            | beam.Flatten()
            | beam.CombineGlobally(_Together())
            | beam.Map(Summary.text).with_output_types(str)
        )


class _Together(beam.CombineFn):
    def create_accumulator(self) -> Summary:
        return Summary()

    def add_input(self, accumulator: Summary, part: Summary) -> Summary:
        accumulator.add(part)
        return accumulator

    def merge_accumulators(self, accumulators: Iterable[Summary]) -> Summary:
        return _sum(iter(accumulators))

    def extract_output(self, accumulator: Summary) -> Summary:
        return accumulator


def _sum(parts: Iterator[Summary]) -> Summary:
    total = Summary()
    for part in parts:
        total.add(part)
    return total
