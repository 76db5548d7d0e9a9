"""A backlog of any size: messages by their numbers, so that nobody has to hold them all."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from connectors.pubsub import as_messages
from transforms.batch import Batch

__all__ = ["BIGQUERY_SCHEMA", "SPAN_S", "closing", "distinct", "messages"]

BIGQUERY_SCHEMA = [
    {"name": "number", "type": "INT64", "mode": "REQUIRED"},
    {"name": "event_time", "type": "TIMESTAMP", "mode": "REQUIRED"},
    {"name": "page", "type": "STRING"},
]

START_MS = 1_767_225_600_000
"""2026-01-01T00:00:00Z: event time of the first event."""
SPAN_S = 3_600
"""Event time of all of them."""
DISORDER_MS = 30_000
CLOSING_DAYS = 7

REPEATED_EVERY = 20
"""One of so many messages repeats an earlier event."""
_BACK, _FARTHEST = 8, 500
"""It lies so many messages back, and up to so many times ``REPEATED_EVERY`` more."""

_CAMPAIGN = "&campaign=autumn" * 5
_SCATTER = 2_654_435_761
"""Makes of numbers in a row numbers that look like chance."""


def messages(first: int, end: int, total: int) -> Batch:
    """Return the messages with these numbers, about 200 bytes each.

    Args:
        first: the first number.
        end: the number behind the last.
        total: how many there are at all, which are spread over ``SPAN_S``.
    """
    events = _events(np.arange(first, end))
    scattered = events * _SCATTER
    times_ms = START_MS + events * (SPAN_S * 1_000) // total + scattered % DISORDER_MS
    times = pa.array(times_ms).cast(pa.timestamp("ms", "UTC")).cast(pa.string())
    return as_messages(
        pc.binary_join_element_wise(
            '{"number":', _text(events),
            ',"event_time":"', pc.replace_substring(times, " ", "T"),
            '","page":"/catalogue/category-', _text(scattered % 89),
            "/item-", _text(scattered % 99_991), f'?from=home{_CAMPAIGN}"}}', "",
        )
    )  # fmt: skip


def closing(total: int) -> Batch:
    """Return one more event, long after all others: their windows close when it comes."""
    time = pa.scalar(START_MS + CLOSING_DAYS * 86_400_000).cast(pa.timestamp("ms", "UTC"))
    text = time.cast(pa.string()).as_py().replace(" ", "T")
    return as_messages(pa.array([f'{{"number":{total},"event_time":"{text}","page":null}}']))


def distinct(total: int) -> int:
    """Return how many different events there are among the messages."""
    return total - total // REPEATED_EVERY


def _events(numbers: np.ndarray) -> np.ndarray:
    """Return the event of each message; the first ones look back no farther than there is."""
    tens = numbers // REPEATED_EVERY
    back = _BACK + REPEATED_EVERY * np.minimum(tens, tens % _FARTHEST)
    return np.where(numbers % REPEATED_EVERY == REPEATED_EVERY - 1, numbers - back, numbers)


def _text(numbers: np.ndarray) -> pa.StringArray:
    return pa.array(numbers).cast(pa.string())
