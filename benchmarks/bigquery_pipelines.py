"""Rows to a table by a pipeline: ``bigquery.Write``, and Beam's own streaming inserts.

Both run on the same runner in this process, from elements that are made before. The clock starts
when the source gives the first of them, for building and starting the graph is nobody's work.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import apache_beam as beam
import pyarrow as pa
from apache_beam.options.pipeline_options import PipelineOptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery as google_bigquery

from benchmarks.bigquery_rows import batch, cpu_s, dictionaries
from connectors import bigquery
from connectors.clients import bigquery_endpoint
from runners import direct
from transforms.batch import Batch

__all__ = ["inserts", "write"]


def write(table: str, batches: int) -> float:
    """Write Arrow batches by ``bigquery.Write``; return the CPU seconds."""
    given = [Batch(batch(number)) for number in range(batches)]
    return _run(given, bigquery.Write(table))


def inserts(table: str, batches: int) -> float:
    """Write dictionaries by Beam's ``WriteToBigQuery``, with its defaults; return the CPU seconds.

    Beam 2.77 spends most of it to measure each row with ``get_deep_size``.
    """
    given = [
        row for number in range(batches) for row in dictionaries(batch(number), pa.string())
    ]  # fmt: skip
    step = beam.io.WriteToBigQuery(
        table.replace(".", ":", 1),
        method=beam.io.WriteToBigQuery.Method.STREAMING_INSERTS,
        create_disposition=beam.io.BigQueryDisposition.CREATE_NEVER,
        test_client=_client(table.partition(".")[0]),
    )
    return _run(given, step)


class _Source(beam.DoFn):
    """Gives what is kept here: what a graph is pickled with is copied, and what is made anew."""

    given: ClassVar[Sequence[Any]] = ()
    began_s: ClassVar[float] = 0.0

    def process(self, _: int) -> Iterator[Any]:
        _Source.began_s = cpu_s()
        yield from _Source.given


def _run(given: Sequence[Any], step: beam.PTransform) -> float:
    _Source.given = given
    with beam.Pipeline(runner=direct.bounded_runner(), options=PipelineOptions([])) as graph:
        source = beam.ParDo(_Source()).with_output_types(type(given[0]))
        graph | beam.Create([0], reshuffle=False) | "Rows" >> source | "Write" >> step
    return cpu_s() - _Source.began_s


class _Client(google_bigquery.Client):
    """Google's client without an account, which Beam's pipeline takes with it to its workers."""

    def __reduce__(self) -> Any:
        return _client, (self.project,)


def _client(project: str) -> _Client:
    options = {"api_endpoint": bigquery_endpoint().address}
    return _Client(project, AnonymousCredentials(), client_options=options)
