"""Whether a lake holds exactly what the generator says it must."""

from __future__ import annotations

from pathlib import Path

import duckdb

from benchmarks.workload import Truth

__all__ = ["differences"]

MINUTE_US = 60_000_000

TOTALS = "select count(*), count(distinct event_id), sum(user_id)::hugeint from lake"
BY_MINUTE = f"""
    select epoch_us(event_time) // {MINUTE_US}, count(*) from lake group by all
"""
MIXED_FILES = f"""
    select count(*) from (
      select filename from lake group by filename
      having min(epoch_us(event_time) // {MINUTE_US}) <> max(epoch_us(event_time) // {MINUTE_US})
    )
"""
CODECS = "select distinct compression from parquet_metadata(?)"


def differences(lake: Path, truth: Truth) -> list[str]:
    """Say how the Parquet files under ``lake`` differ from the truth; nothing means right.

    Rows, distinct ids, the sum of ``user_id`` and the rows of each minute are compared. Each
    file must hold one window only and be compressed with zstd, or the work was not the same.
    """
    files = str(lake / "**" / "*.parquet")
    if not any(lake.rglob("*.parquet")):
        return ["no Parquet file was written"]
    with duckdb.connect() as database:
        database.read_parquet(files, filename=True, hive_partitioning=False).create_view("lake")
        rows, distinct, total = database.execute(TOTALS).fetchone()
        by_minute = dict(database.execute(BY_MINUTE).fetchall())
        mixed = database.execute(MIXED_FILES).fetchone()[0]
        codecs = {row[0] for row in database.execute(CODECS, [files]).fetchall()}

    wrong_minutes = _differing(by_minute, truth.rows_by_minute)
    found = [
        _unless(rows == truth.rows, f"{rows} rows instead of {truth.rows}"),
        _unless(distinct == truth.rows, f"{distinct} distinct ids instead of {truth.rows}"),
        _unless(total == truth.user_id_sum, f"user_id adds up to {total}, not {truth.user_id_sum}"),
        _unless(not wrong_minutes, f"{len(wrong_minutes)} windows have another number of rows"),
        _unless(not mixed, f"{mixed} files hold more than one window"),
        _unless(codecs == {"ZSTD"}, f"compressed with {', '.join(sorted(codecs))} instead of ZSTD"),
    ]
    return [difference for difference in found if difference]


def _differing(found: dict[int, int], wanted: dict[int, int]) -> list[int]:
    return [minute for minute in found | wanted if found.get(minute) != wanted.get(minute)]


def _unless(right: bool, difference: str) -> str:
    return "" if right else difference
