"""Real flights through the topics: bus, answers, dead letters and replay, reconciled exactly."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds
import pytest

from connectors.broker import Broker
from pipelines import (
    archive_replay,
    deadletter_replay,
    launch,
    pubsub_aggregate,
    pubsub_to_pubsub,
    pubsub_to_storage,
)
from pipelines.demo.flights import Stream, stream
from tests.topics import Sent, create, publish_batch, subscription, take, topic

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

FLIGHTS = 20_000
SCHEMA = Path(__file__).resolve().parents[2] / "pipelines" / "demo" / "flights.json"


@pytest.fixture(scope="module")
def flights() -> Stream:
    """Real flights, slightly out of order, some twice, some corrupt."""
    return stream(FLIGHTS)


@pytest.fixture
def published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flights: Stream
) -> Iterator[list[tuple[bytes, dict[str, str]]]]:
    """Run a broker and publish the flights; return what was published."""
    with Broker(data_dir=tmp_path / "broker") as running:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", running.address)
        create("flights", "dead", "again", "from-EWR", "from-JFK", "from-LGA")
        for batch in flights.batches:
            publish_batch("flights", batch)
        yield [
            (row["data"], dict(row["attributes"]))
            for batch in flights.batches
            for row in batch.to_pylist()
        ]


def run(module: Any, *argv: str) -> None:
    """Run a pipeline in this process."""
    assert launch.status(module, list(argv)) == 0


def counted(messages: list[Sent]) -> Counter[tuple[bytes, str]]:
    """Return how often each message is there."""
    return Counter((each.data, json.dumps(each.attributes, sort_keys=True)) for each in messages)


def distance(data: bytes) -> int | None:
    """Return the miles of a flight, None if the payload is corrupt."""
    try:
        found = json.loads(data)["distance"]
    except (ValueError, UnicodeDecodeError):
        return None
    return found if isinstance(found, int) else None


def rows(folder: Path) -> list[dict[str, Any]]:
    """Return what files hold."""
    return ds.dataset([str(path) for path in folder.rglob("*.parquet")]).to_table().to_pylist()


def test_bus_dead_letters_and_replay(
    published: list[tuple[bytes, dict[str, str]]], tmp_path: Path
) -> None:
    """Published is routed, filtered or dead; what is dead comes back byte for byte."""
    run(
        pubsub_to_pubsub, f"--subscription={subscription('flights')}", f"--schema={SCHEMA}",
        "--where=distance >= 1000", "--output_topic=projects/demo/topics/from-{origin}",
        f"--dead_letter={topic('dead')}",
    )  # fmt: skip
    for airport in ("EWR", "JFK", "LGA"):
        wanted = [
            Sent(data, attributes)
            for data, attributes in published
            if (distance(data) or 0) >= 1_000 and attributes["origin"] == airport
        ]
        assert counted(take(f"from-{airport}")) == counted(wanted)
    run(
        deadletter_replay, f"--failures={subscription('dead')}",
        f"--output_topic={topic('again')}", f"--dead_letter={tmp_path / 'still_dead'}",
    )  # fmt: skip
    corrupt = [
        Sent(data, attributes | {"headrace_replays": "1"})
        for data, attributes in published
        if distance(data) is None
    ]
    assert counted(take("again")) == counted(corrupt)


def test_answers_add_up(
    published: list[tuple[bytes, dict[str, str]]], flights: Stream, tmp_path: Path
) -> None:
    """Published is counted once, seen before or dead; and each carrier has its flights."""
    run(
        pubsub_aggregate, f"--subscription={subscription('flights')}", f"--schema={SCHEMA}",
        "--event_time=departure", "--disorder=1h", "--window=1d", "--dedup_by=event_id",
        "--by=carrier", "--measures=flights=count(),miles=sum(distance)",
        f"--output={tmp_path / 'daily'}", f"--dead_letter={tmp_path / 'dead'}",
    )  # fmt: skip
    answers = rows(tmp_path / "daily")
    dead = rows(tmp_path / "dead")
    counts = sum(row["flights"] for row in answers)
    assert counts == flights.unique
    assert flights.published == counts + flights.duplicates + len(dead)
    good = (json.loads(data) for data, _ in published if distance(data) is not None)
    once = {flight["event_id"]: flight for flight in good}
    miles: Counter[str] = Counter()
    for flight in once.values():
        miles[flight["carrier"]] += flight["distance"]
    found: Counter[str] = Counter()
    for row in answers:
        found[row["carrier"]] += row["miles"]
    assert found == miles


@pytest.mark.parametrize("form", ["avro", "jsonl"])
def test_archive_comes_back_whole(
    published: list[tuple[bytes, dict[str, str]]], tmp_path: Path, form: str
) -> None:
    """Every message that was published, corrupt ones too, is published again as it was."""
    run(
        pubsub_to_storage, f"--subscription={subscription('flights')}", "--window=1s",
        f"--output={tmp_path / 'archive'}", f"--format={form}",
        f"--dead_letter={tmp_path / 'dead'}",
    )  # fmt: skip
    run(
        archive_replay, f"--archive={tmp_path / 'archive'}", f"--output_topic={topic('again')}",
        f"--dead_letter={tmp_path / 'dead2'}",
    )  # fmt: skip
    wanted = [Sent(data, attributes) for data, attributes in published]
    assert counted(take("again")) == counted(wanted)
