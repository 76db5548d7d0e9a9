"""Functions for ``--udf``: one of each form, for the flights of pipelines/demo.

The file needs nothing of Headrace. What stands outside of the functions runs once for each thread.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

AIRLINES = {
    "9E": "Endeavor", "AA": "American", "B6": "JetBlue", "DL": "Delta", "EV": "ExpressJet",
    "MQ": "Envoy", "UA": "United", "US": "US Airways", "WN": "Southwest",
}  # fmt: skip
LATE_MINUTES = 15


def clean(row: dict) -> dict | tuple[str, dict] | None:
    """Name the airline, leave out cancelled flights, put unknown airlines aside.

    Its rows have other columns than those that it gets: --udf_schema=examples/udf/clean.json.
    """
    if row["dep_delay"] is None:
        return None
    if row["distance"] <= 0:
        raise ValueError(f"flight of {row['distance']} miles")
    if row["carrier"] not in AIRLINES:
        return "odd", row
    return {
        "event_id": row["event_id"],
        "departure": row["departure"],
        "airline": AIRLINES[row["carrier"]],
        "flight": row["flight"],
        "late": row["dep_delay"] > LATE_MINUTES,
    }


def on_time(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Keep flights that left no more than a quarter of an hour late: all rows at once."""
    return batch.filter(pc.less_equal(batch["dep_delay"], LATE_MINUTES))


def legs(text: str) -> Iterator[str]:
    """Make a message of a journey, whose payload is a list, one message for each flight."""
    for flight in json.loads(text):
        yield json.dumps(flight)


def stamped(message: dict) -> dict:
    """Change a message where there are no columns: its data is bytes, its attributes a dict."""
    airline = AIRLINES.get(message["attributes"].get("carrier", ""), "unknown")
    message["attributes"]["airline"] = airline
    return message
