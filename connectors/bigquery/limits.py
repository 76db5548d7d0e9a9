"""Limits of the Storage Write API, with their sources, and the bounds that follow from them."""

from __future__ import annotations

__all__ = [
    "DATE_DAYS",
    "IN_FLIGHT_BYTES_MAX",
    "IN_FLIGHT_BYTES_TOTAL_MAX",
    "IN_FLIGHT_REQUESTS_MAX",
    "REQUEST_BYTES_MAX",
    "STREAMS_MAX",
    "TIMESTAMP_US",
]

REQUEST_BYTES_MAX = 9_500_000
"""Bytes of the rows of a request.

``google/cloud/bigquery/storage/v1/storage.proto``: "The size of a single AppendRowsRequest must be
less than 20 MB"; https://cloud.google.com/bigquery/quotas#write-api-limits said 10 MB for years,
and emulators refuse more. Larger requests are no faster.
"""

IN_FLIGHT_BYTES_MAX = 32 * 1024 * 1024
"""Bytes of requests on one connection that wait for their answers: ours, to bound memory."""
IN_FLIGHT_BYTES_TOTAL_MAX = 64 * 1024 * 1024
"""The same for all tables that a step writes to at a time."""
IN_FLIGHT_REQUESTS_MAX = 64
"""Requests on one connection that wait for their answers: ours."""

STREAMS_MAX = 64
"""Connections that a process holds open: ours.

https://cloud.google.com/bigquery/quotas#write-api-limits: 1,000 to 10,000 concurrent connections a
project, by region.
"""

DATE_DAYS = (-719_162, 2_932_896)
"""0001-01-01 to 9999-12-31: https://cloud.google.com/bigquery/docs/supported-data-types."""
TIMESTAMP_US = (DATE_DAYS[0] * 86_400_000_000, (DATE_DAYS[1] + 1) * 86_400_000_000 - 1)
"""The same range in microseconds, to the last one of it."""
