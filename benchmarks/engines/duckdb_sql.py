"""DuckDB as a batch yardstick: one statement from the lines to the partitioned lake."""

from __future__ import annotations

import duckdb

from benchmarks.child import Task

__all__ = ["run"]

STATEMENT = """
copy (
  select distinct on (event_id)
    event_id, event_time, user_id, event_type, amount, page,
    strftime(date_trunc('minute', event_time), '%Y-%m-%dT%H%M') as minute
  from read_json(
    $lines, format = 'newline_delimited', ignore_errors = true,
    columns = {
      event_id: 'varchar', event_time: 'timestamp', user_id: 'bigint',
      event_type: 'varchar', amount: 'double', page: 'varchar'
    }
  )
  where event_id is not null and user_id is not null
) to $lake (
  format parquet, compression zstd, compression_level 1, partition_by (minute)
)
"""


def run(task: Task) -> None:
    """Parse, drop what is malformed, keep one row of each id, write one folder a minute."""
    with duckdb.connect(config={"threads": task.options["threads"]}) as database:
        database.execute(STATEMENT, {"lines": str(task.lines), "lake": str(task.output)})
