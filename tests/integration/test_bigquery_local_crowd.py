"""Many clients of the local BigQuery at once: no request fails, and no row is lost or doubled."""

import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from google.api_core import exceptions
from google.cloud import bigquery

from connectors.bigquery_local import Server
from tests.bigquery_clients import Clients, arrow_request, ids, serving

pytestmark = pytest.mark.integration

Field = bigquery.SchemaField
WRITERS, REQUESTS = 6, 60


@pytest.fixture
def local(tmp_path: Path) -> Iterator[tuple[Server, Clients]]:
    """A server with a file."""
    yield from serving(tmp_path)


def repeated(until: threading.Event, call: Callable[[int], None]) -> int:
    """Call until the event is set; return how often."""
    count = 0
    while not until.is_set():
        call(count)
        count += 1
    return count


def test_writers_readers_and_schema_changes(
    local: tuple[Server, Clients], caplog: pytest.LogCaptureFixture
) -> None:
    """Streams of every kind, queries, pages and new columns, all on one table."""
    _, clients = local
    table, done = clients.table("crowd", Field("id", "INT64")), threading.Event()

    def write(number: int) -> None:
        stream = f"{table}/streams/_default" if number % 2 else clients.stream(table)
        base = number * REQUESTS
        requests = [arrow_request(ids(base), stream)]
        requests += [arrow_request(ids(base + part), schema=False) for part in range(1, REQUESTS)]
        for response in clients.append(*requests):
            assert not response.error.code, response.error.message

    def query(_: int) -> None:
        ((count, distinct),) = clients.select("SELECT COUNT(*), COUNT(DISTINCT id) FROM data.crowd")
        assert count == distinct

    def page(_: int) -> None:
        rows = list(clients.rest.list_rows("data.crowd", max_results=50))
        assert len(rows) <= 50

    def widen(number: int) -> None:
        found = clients.rest.get_table("data.crowd")
        found.schema = [*found.schema, Field(f"c{number}", "STRING")]
        clients.rest.update_table(found, ["schema"])
        done.wait(0.1)

    with ThreadPoolExecutor(WRITERS + 3) as pool, caplog.at_level(logging.ERROR):
        others = [pool.submit(repeated, done, call) for call in (query, page, widen)]
        writers = [pool.submit(write, number) for number in range(WRITERS)]
        try:
            for writer in writers:
                writer.result(60)
        finally:
            done.set()
        assert all(other.result(60) for other in others)
    assert not caplog.records
    found = sorted(clients.select("SELECT id FROM data.crowd"))
    assert found == [(number,) for number in range(WRITERS * REQUESTS)]


def test_one_offset_many_writers(local: tuple[Server, Clients]) -> None:
    """Of all that append at the same offset, one succeeds."""
    _, clients = local
    table = clients.table("race", Field("id", "INT64"))
    stream = clients.stream(table)
    start = threading.Barrier(8)

    def write(number: int) -> int:
        start.wait(20)
        codes = []
        for offset in range(20):
            (response,) = clients.append(arrow_request(ids(number), stream, offset))
            codes.append(response.error.code)
        return codes.count(0)

    with ThreadPoolExecutor(8) as pool:
        won = sum(pool.map(write, range(8)))
    assert clients.count(table) == 20
    assert won == 20


def test_one_job_id_many_clients(local: tuple[Server, Clients]) -> None:
    """Of all that insert a job under the same id, one succeeds."""
    _, clients = local
    start = threading.Barrier(8)

    def insert(_: int) -> bool:
        start.wait(20)
        try:
            clients.rest.query("SELECT 1", job_id="raced", retry=None, job_retry=None)
        except exceptions.Conflict:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(insert, range(8))) == 1
