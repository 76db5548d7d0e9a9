"""``pipelines.pubsub_to_bigquery`` in this process: clicks on a broker, tables, a command line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from connectors import pubsub
from pipelines import launch, pubsub_to_bigquery
from tests.bigquery_tables import PROJECT, client
from tests.conftest import message_batch

TOPIC = "projects/demo/topics/clicks"
SUBSCRIPTION = "projects/demo/subscriptions/clicks"
SCHEMA = [
    {"name": "id", "type": "STRING", "mode": "REQUIRED"},
    {"name": "at", "type": "TIMESTAMP", "mode": "REQUIRED"},
    {"name": "n", "type": "INTEGER"},
    {"name": "kind", "type": "STRING"},
    {"name": "tags", "type": "STRING", "mode": "REPEATED"},
]


def click(number: int, **more: Any) -> bytes:
    """Return the payload of a click."""
    event = {"id": f"e{number:04d}", "at": f"2026-01-01T00:{number % 60:02d}:00Z", "n": number}
    return json.dumps(event | more).encode()


def flags_of(folder: Path) -> dict[str, str]:
    """Return a command line by flag, with a schema file in a folder."""
    schema = folder / "clicks.json"
    schema.write_text(json.dumps(SCHEMA))
    return {
        "subscription": SUBSCRIPTION,
        "schema": str(schema),
        "dedup_by": "id",
        "table": f"{PROJECT}.clicks.events",
        "if_missing": "create",
        "dead_letter": str(folder / "dead"),
    }


def publish(payloads: Sequence[bytes]) -> None:
    """Publish messages with these payloads."""
    with pubsub.Publisher(TOPIC) as publisher:
        published = publisher.publish(message_batch(payloads))
    assert len(published.ok) == len(payloads)


def run(flags: dict[str, str], *more: str) -> int:
    """Run the pipeline; return the exit code."""
    return launch.status(pubsub_to_bigquery, [*(f"--{k}={v}" for k, v in flags.items()), *more])


def make_table(**kinds: dict[str, str]) -> None:
    """Make the table with other types or modes of some columns."""
    from google.cloud import bigquery  # noqa: PLC0415 - a second of imports

    columns = [
        bigquery.SchemaField.from_api_repr(field | kinds.get(field["name"], {})) for field in SCHEMA
    ]
    table = bigquery.Table(f"{PROJECT}.clicks.events", columns)
    client().create_table(table, retry=None)
