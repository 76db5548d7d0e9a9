"""What the demo asks the finished lake, with DuckDB and nothing of ours."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb

__all__ = ["QUESTIONS", "Question", "ask", "plot", "row_count"]


@dataclass(frozen=True)
class Question:
    """A question in words and in SQL; ``lake`` is the table of all rows."""

    title: str
    sql: str


QUESTIONS = (
    Question(
        "Busiest hours of departure (New York time)",
        """
        select local_hour as hour, count(*) as flights, count(*) // 365 as per_day
        from lake group by all order by flights desc limit 5
        """,
    ),
    Question(
        "Delay by carrier, the five largest",
        """
        select carrier, count(*) as flights, round(avg(dep_delay), 1) as mean_delay_min,
               round(100 * avg((dep_delay > 60)::int), 1) as percent_over_an_hour
        from lake group by all order by flights desc limit 5
        """,
    ),
)

_BY_HOUR = """
    select local_hour, avg(dep_delay), quantile_cont(dep_delay, 0.9)
    from lake where dep_delay is not null group by all having count(*) > 100 order by 1
"""


def _connect(lake: Path) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    connection.execute("set enable_progress_bar = false")
    source = connection.read_parquet(f"{lake}/**/*.parquet", hive_partitioning=True)
    source.create_view("lake")
    return connection


def row_count(lake: Path) -> int:
    """Return how many rows a folder of Parquet files holds; 0 where there are no files."""
    if next(lake.rglob("*.parquet"), None) is None:
        return 0
    found = _connect(lake).execute("select count(*) from lake").fetchone()
    return int(found[0]) if found else 0


def ask(lake: Path, question: Question) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Return the column names and the rows of the answer."""
    answer = _connect(lake).execute(question.sql)
    return [column[0] for column in answer.description or []], answer.fetchall()


def plot(lake: Path, target: Path) -> None:
    """Save a picture of the departure delay over the hours of the day."""
    import matplotlib  # noqa: PLC0415 - slow to import, and only needed here

    matplotlib.use("Agg")
    from matplotlib import pyplot  # noqa: PLC0415

    hours, mean, high = zip(*_connect(lake).execute(_BY_HOUR).fetchall(), strict=True)
    figure, axes = pyplot.subplots(figsize=(8, 4.5), layout="constrained")
    axes.bar(hours, high, color="#c6d8e8", label="one flight in ten is later than this")
    axes.plot(hours, mean, color="#1f4e79", marker="o", label="mean")
    axes.set_title("Delays pile up during the day: departures from New York, 2013")
    axes.set_xlabel("hour of the scheduled departure")
    axes.set_ylabel("departure delay, minutes")
    axes.set_xticks(hours)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="upper left")
    figure.savefig(target, dpi=150)
    pyplot.close(figure)
