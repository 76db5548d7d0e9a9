"""Real flights to BigQuery: rows, duplicates and dead letters, reconciled exactly by SQL."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors.bigquery_local import Server
from connectors.broker import Broker
from pipelines import launch, pubsub_to_bigquery
from pipelines.demo.flights import Stream, stream
from tests.bigquery_tables import PROJECT, client, serving
from tests.topics import create, publish_batch, subscription

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

FLIGHTS = 20_000
SCHEMA = Path(__file__).resolve().parents[2] / "pipelines" / "demo" / "flights.json"


@pytest.fixture(scope="module")
def flights() -> Stream:
    """Real flights, slightly out of order, some twice, some corrupt."""
    return stream(FLIGHTS)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Run a server with a dataset of flights."""
    yield from serving(monkeypatch, "flights")


@pytest.fixture
def published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flights: Stream
) -> Iterator[list[bytes]]:
    """Run a broker and publish the flights; return the payloads."""
    with Broker(data_dir=tmp_path / "broker") as running:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", running.address)
        create("flights")
        for batch in flights.batches:
            publish_batch("flights", batch)
        yield [data for batch in flights.batches for data in batch.column("data").to_pylist()]


RUNNERS = {
    "at_least_once": [],
    "exactly_once": ["--runner=local", "--max_seconds=20s", "--on_stop=drain"],
}


@pytest.mark.parametrize("semantics", RUNNERS)
def test_every_flight_is_accounted_for(
    published: list[bytes], flights: Stream, server: Server, tmp_path: Path, semantics: str
) -> None:
    """Published is in the table once, seen before, or dead in another table; and unchanged."""
    argv = [
        f"--subscription={subscription('flights')}", f"--schema={SCHEMA}", "--dedup_by=event_id",
        f"--table={PROJECT}.flights.departures", "--if_missing=create",
        "--partition_by=day(departure)", f"--semantics={semantics}",
        f"--dead_letter={PROJECT}.flights.rejected", *RUNNERS[semantics],
        *([f"--state_dir={tmp_path / 'state'}"] if RUNNERS[semantics] else []),
    ]  # fmt: skip
    assert launch.status(pubsub_to_bigquery, argv) == 0
    rows = server.query("SELECT event_id, carrier, distance FROM flights.departures").to_pylist()
    (dead,) = client().query_and_wait("SELECT count(*) AS n FROM flights.rejected")
    assert len(rows) == len({row["event_id"] for row in rows}) == flights.unique
    assert flights.published == len(rows) + flights.duplicates + dead.n
    assert dead.n > 0
    assert flights.duplicates > 0
    once = {flight["event_id"]: flight for flight in map(parsed, published) if flight}
    assert miles(rows) == miles(list(once.values()))


def parsed(data: bytes) -> dict[str, Any] | None:
    """Return a flight, None if the payload is corrupt."""
    try:
        found: dict[str, Any] = json.loads(data)
    except (ValueError, UnicodeDecodeError):
        return None
    return found if isinstance(found.get("distance"), int) else None


def miles(flights: list[dict[str, Any]]) -> Counter[str]:
    """Return the miles of each carrier."""
    found: Counter[str] = Counter()
    for flight in flights:
        found[flight["carrier"]] += flight["distance"]
    return found
