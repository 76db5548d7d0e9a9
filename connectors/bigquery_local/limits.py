"""Every limit that the server enforces: its value, its unit, where it comes from.

"API" is the definition ``google/cloud/bigquery/storage/v1/storage.proto``; "quotas" is
https://cloud.google.com/bigquery/quotas; "ours" marks a choice of this server.
"""

from __future__ import annotations

__all__ = [
    "APPEND_BYTES_MAX",
    "CONNECTIONS_MAX",
    "INSERT_ALL_BYTES_MAX",
    "INSERT_ALL_ROWS_MAX",
    "PAGE_ROWS_MAX",
    "PRIMARY_KEY_COLUMNS_MAX",
    "READ_BATCH_ROWS",
    "READ_SESSION_S",
    "READ_STREAMS_MAX",
    "RECEIVE_BYTES_MAX",
    "ROW_ERRORS_MAX",
    "UPLOAD_BYTES_MAX",
]

APPEND_BYTES_MAX = 20_000_000
"""Bytes of one AppendRows request must be below this (API: "less than 20 MB"; once 10 MB)."""
RECEIVE_BYTES_MAX = 64 << 20
"""Bytes of a request that gRPC lets through, so that it is our own check that refuses (ours)."""
ROW_ERRORS_MAX = 1_000
"""Row errors in one response: "the list may not be complete" is the service's own text (ours)."""
CONNECTIONS_MAX = 512
"""Calls in progress at once; an AppendRows connection is one call (ours)."""

INSERT_ALL_ROWS_MAX = 50_000
"""Rows in one insertAll request (quotas)."""
INSERT_ALL_BYTES_MAX = 10_000_000
"""Bytes of one insertAll request (quotas: 10 MB)."""
PAGE_ROWS_MAX = 10_000
"""Rows in one page of results at most (ours; the service bounds pages by bytes)."""
PRIMARY_KEY_COLUMNS_MAX = 16
"""Columns of a primary key (quotas)."""
UPLOAD_BYTES_MAX = 1 << 30
"""Bytes of one file sent along with a load job (ours; it is held in memory)."""

READ_BATCH_ROWS = 10_000
"""Rows in one ReadRows response at most (ours)."""
READ_STREAMS_MAX = 64
"""Streams of one read session at most (ours; the service allows 1,000)."""
READ_SESSION_S = 6 * 3_600
"""Seconds until a read session expires (quotas: 6 hours)."""
