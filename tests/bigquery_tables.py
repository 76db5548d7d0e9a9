"""A strict local server for tests of ``bigquery.Write``, rows for it, and what is in its tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import pyarrow as pa
import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from connectors import bigquery
from connectors.bigquery.session import session
from connectors.bigquery_local import Server
from connectors.clients import bigquery_endpoint, open_bigquery
from runners.local import LocalRunner
from tests.conftest import message_batch
from transforms.batch import Batch
from transforms.message import attach_message

PROJECT = "test-project"
TABLE = f"{PROJECT}.data.rows"
BOTH = pytest.mark.parametrize("semantics", list(bigquery.Semantics), ids=lambda each: each.value)


def serving(monkeypatch: pytest.MonkeyPatch, dataset: str = "data") -> Iterator[Server]:
    """Run a server with a dataset: the body of a fixture."""
    with Server(project=PROJECT) as running:
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", running.rest_endpoint)
        monkeypatch.setenv("BIGQUERY_STORAGE_EMULATOR_HOST", running.grpc_endpoint)
        client().create_dataset(dataset, retry=None)
        yield running
        session().close()


def client() -> Any:
    """Return Google's client of the server."""
    return open_bigquery(bigquery_endpoint(), PROJECT)


def pipeline() -> beam.Pipeline:
    """Return a pipeline on our local runner, which needs no folder for what ends."""
    return beam.Pipeline(runner=LocalRunner(), options=PipelineOptions([]))


def batch(first: int, count: int) -> Batch:
    """Return rows of consecutive numbers, each with its message."""
    numbers = list(range(first, first + count))
    rows = pa.RecordBatch.from_pydict({"n": numbers, "kind": [f"k{n % 4}" for n in numbers]})
    return attach_message(rows, message_batch([b"%d" % n for n in numbers], first))


def rows(server: Server, table: str = "rows") -> list[int]:
    """Return the numbers in a table, sorted."""
    found = server.query(f"SELECT n FROM data.{table} ORDER BY n")
    return list(found["n"].to_pylist())
