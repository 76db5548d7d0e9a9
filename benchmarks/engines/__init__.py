"""The engines of the comparison: what runs, in which environment, on how many events."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

__all__ = ["ENGINES", "Engine", "Environment"]


@dataclass(frozen=True)
class Environment:
    """A virtual environment for an engine that can't share ours."""

    name: str
    requirements: tuple[str, ...]


@dataclass(frozen=True)
class Engine:
    """One row of the table."""

    name: str
    label: str
    module: str
    options: dict[str, Any] = field(default_factory=dict)
    events_max: int | None = None
    """Slow engines get only the first events of the same input."""
    environment: Environment | None = None
    """None is the environment of the project."""
    own: bool = False
    """Whether it is ours."""


BYTEWAX = Environment("bytewax", ("bytewax==0.21.1", "orjson==3.13.0", "pyarrow==25.0.1"))

ENGINES = (
    Engine("headrace_memory", "Headrace, from memory", "headrace_memory", own=True),
    Engine("headrace_broker", "Headrace, from its broker", "headrace_broker", own=True),
    Engine(
        "local_memory", "Headrace, local runner, from memory", "local_memory",
        {"durable": True}, own=True,
    ),
    Engine(
        "local_ephemeral", "Headrace, local runner, state not kept", "local_memory",
        {"durable": False}, own=True,
    ),
    Engine("local_broker", "Headrace, local runner, from its broker", "local_broker", own=True),
    Engine("duckdb", "DuckDB batch, 1 thread", "duckdb_sql", {"threads": 1}),
    Engine("duckdb_2", "DuckDB batch, 2 threads", "duckdb_sql", {"threads": 2}),
    Engine("polars", "Polars batch, 1 thread", "polars_frame"),
    Engine(
        "bytewax_hand", "Bytewax, lists and windows by hand", "bytewax_flow",
        {"variant": "hand"}, environment=BYTEWAX,
    ),
    Engine(
        "bytewax_shard", "Bytewax, keyed by shard", "bytewax_flow",
        {"variant": "shard"}, environment=BYTEWAX,
    ),
    Engine(
        "bytewax", "Bytewax, keyed by event_id", "bytewax_flow",
        {"variant": "event_id"}, events_max=200_000, environment=BYTEWAX,
    ),
    Engine(
        "beam_set", "Beam per element, set in process", "beam_elements",
        {"dedup": "set"}, events_max=200_000,
    ),
    Engine(
        "beam_group", "Beam per element, GroupByKey", "beam_elements",
        {"dedup": "group"}, events_max=100_000,
    ),
    Engine(
        "beam_state", "Beam per element, DeduplicatePerKey", "beam_elements",
        {"dedup": "state"}, events_max=10_000,
    ),
)  # fmt: skip
"""All rows. The label is what the table and the chart say."""
