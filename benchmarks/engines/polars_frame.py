"""Polars as a batch yardstick, on one thread."""

from __future__ import annotations

import os

os.environ["POLARS_MAX_THREADS"] = "1"  # read once, when polars is imported

import polars as pl

from benchmarks.child import Task

__all__ = ["run"]

DTYPE = pl.Struct(
    {
        "event_id": pl.String,
        "event_time": pl.String,
        "user_id": pl.String,  # as text: one wrong type would fail the whole decoding
        "event_type": pl.String,
        "amount": pl.Float64,
        "page": pl.String,
    }
)


def run(task: Task) -> None:
    """Parse, drop what is malformed, keep one row of each id, write one folder a minute."""
    line = pl.col("line")
    # The decoder has no way to skip a row: what is cut off or no object must go before it.
    whole = line.str.starts_with("{") & line.str.ends_with("}")
    event_time = pl.col("event_time").str.to_datetime("%Y-%m-%dT%H:%M:%S%.3fZ", time_zone="UTC")
    events = (
        pl.read_lines(task.lines, name="line")
        .lazy()
        .filter(whole)
        .select(line.str.json_decode(DTYPE).struct.unnest())
        .with_columns(pl.col("user_id").cast(pl.Int64, strict=False), event_time)
        .filter(pl.col("user_id").is_not_null())
        .unique("event_id", keep="any")
        .with_columns(minute=pl.col("event_time").dt.strftime("%Y-%m-%dT%H%M"))
        .collect()
    )
    events.write_parquet(
        task.output, partition_by="minute", compression="zstd", compression_level=1
    )
