"""Every limit that the broker enforces: its value, its unit, where it comes from.

"API" is the definition ``google/pubsub/v1/pubsub.proto``; "quotas" is
https://cloud.google.com/pubsub/quotas#resource_limits; "ours" marks a choice of this broker where
the service states no number.
"""

from __future__ import annotations

__all__ = [
    "ACK_DEADLINE_S_DEFAULT",
    "ACK_DEADLINE_S_MAX",
    "ACK_DEADLINE_S_MIN",
    "ACK_REQUEST_BYTES_MAX",
    "ATTRIBUTES_MAX",
    "ATTRIBUTE_KEY_BYTES_MAX",
    "ATTRIBUTE_VALUE_BYTES_MAX",
    "BACKOFF_S_MAX",
    "BACKOFF_S_MAX_DEFAULT",
    "BACKOFF_S_MIN_DEFAULT",
    "DELIVERY_ATTEMPTS_DEFAULT",
    "DELIVERY_ATTEMPTS_MAX",
    "DELIVERY_ATTEMPTS_MIN",
    "DISK_RESERVE_BYTES",
    "EXPIRATION_S_DEFAULT",
    "EXPIRATION_S_MIN",
    "FILTER_BYTES_MAX",
    "HTTP_BODIES_BYTES_MAX",
    "HTTP_BODY_BYTES_MAX",
    "HTTP_BODY_S_MAX",
    "HTTP_CONNECTIONS_MAX",
    "HTTP_IDLE_S_MAX",
    "HTTP_WRITE_BYTES_MIN",
    "HTTP_WRITE_S_MAX",
    "LABELS_MAX",
    "LABEL_CHARACTERS_MAX",
    "LEASE_BYTES_MAX",
    "LEASE_MESSAGES_MAX",
    "LEASE_S_MIN",
    "LEASE_WAIT_S_MAX",
    "MOVE_BYTES_MAX",
    "ORDERING_KEY_BYTES_MAX",
    "PAGE_SIZE_DEFAULT",
    "PAGE_SIZE_MAX",
    "POLICY_MEMBERS_MAX",
    "PUBLISH_BYTES_MAX",
    "PUBLISH_MESSAGES_MAX",
    "PULL_MESSAGES_MAX",
    "PULL_WAIT_S",
    "PUSH_BYTES_MAX",
    "PUSH_PAUSE_S_MAX",
    "PUSH_PAUSE_S_MIN",
    "PUSH_WINDOW_MAX",
    "PUSH_WINDOW_MIN",
    "RECEIVE_BYTES_MAX",
    "RESPONSE_BYTES_MAX",
    "RETENTION_S_DEFAULT",
    "RETENTION_S_MAX",
    "RETENTION_S_MIN",
    "SCHEMA_BYTES_MAX",
    "SCHEMA_REVISIONS_MAX",
    "SEGMENT_BYTES_MAX",
    "SEGMENT_BYTES_MIN",
    "SEGMENT_LIVE_SHARE_MIN",
    "SNAPSHOTS_MAX",
    "SNAPSHOT_S_MAX",
    "SNAPSHOT_S_MIN",
    "STREAMS_MAX",
    "SYNC_INTERVAL_S",
    "TRANSFORMS_MAX",
    "UDF_BYTES_MAX",
    "UDF_CODE_BYTES_MAX",
    "UDF_S_MAX",
]

PUBLISH_BYTES_MAX = 10_000_000
"""Bytes of one Publish request, as serialized (quotas); bounds the size of a message too."""
PUBLISH_MESSAGES_MAX = 1_000
"""Messages in one Publish request (quotas)."""
ATTRIBUTES_MAX = 100
"""Attributes of one message (quotas)."""
ATTRIBUTE_KEY_BYTES_MAX = 256
"""Bytes of an attribute's key, UTF-8 (quotas)."""
ATTRIBUTE_VALUE_BYTES_MAX = 1_024
"""Bytes of an attribute's value, UTF-8 (quotas)."""
ORDERING_KEY_BYTES_MAX = 1_024
"""Bytes of an ordering key, UTF-8 (quotas)."""

ACK_REQUEST_BYTES_MAX = 524_288
"""Bytes of one Acknowledge or ModifyAckDeadline request (quotas: 512 KiB)."""
PULL_MESSAGES_MAX = 1_000
"""Messages in one Pull response (quotas); a StreamingPull response holds no more either (ours)."""
RESPONSE_BYTES_MAX = 3_000_000
"""Bytes of messages in one Pull or StreamingPull response, unless the first is larger (ours).

With the framing that comes on top, up to 750 bytes a message, this stays below the 4 MiB that
clients receive at most when they are led here by ``PUBSUB_EMULATOR_HOST``."""
PULL_WAIT_S = 2.0
"""Seconds that Pull waits for the first message: the API says a bounded time (ours)."""

ACK_DEADLINE_S_DEFAULT = 10
"""Seconds of a subscription's ack deadline where none is given (API)."""
ACK_DEADLINE_S_MIN = 10
"""Smallest ack deadline of a subscription or a stream, seconds (API)."""
ACK_DEADLINE_S_MAX = 600
"""Largest ack deadline, seconds (API)."""
RETENTION_S_DEFAULT = 7 * 86_400
"""Seconds that a subscription keeps an unacked message where nothing is given (API: 7 days)."""
RETENTION_S_MIN = 600
"""Shortest retention of a subscription, seconds (API: 10 minutes)."""
RETENTION_S_MAX = 31 * 86_400
"""Longest retention of a subscription, seconds (API: 31 days)."""
SNAPSHOT_S_MAX = 7 * 86_400
"""Seconds that a snapshot lives, less the age of the oldest message in it (API: 7 days)."""
SNAPSHOT_S_MIN = 3_600
"""Seconds that a snapshot must live to be created (API: 1 hour)."""
SNAPSHOTS_MAX = 5_000
"""Snapshots of one project (quotas)."""
EXPIRATION_S_DEFAULT = 31 * 86_400
"""Seconds without use after which a subscription is deleted where nothing is given (API)."""
EXPIRATION_S_MIN = 86_400
"""Shortest such time, seconds (API: 1 day); nor may it be below the retention."""
FILTER_BYTES_MAX = 256
"""Bytes of a subscription's filter, UTF-8 (quotas)."""
BACKOFF_S_MIN_DEFAULT = 10
"""Seconds before the first redelivery under a retry policy that does not say (API)."""
BACKOFF_S_MAX_DEFAULT = 600
"""Seconds before a redelivery at most under a retry policy that does not say (API)."""
BACKOFF_S_MAX = 600
"""Seconds before a redelivery at most under any retry policy (API)."""
DELIVERY_ATTEMPTS_DEFAULT = 5
"""Deliveries before a message is a dead letter where the policy does not say (API)."""
DELIVERY_ATTEMPTS_MIN = 5
"""Deliveries before a message is a dead letter at least (API)."""
DELIVERY_ATTEMPTS_MAX = 100
"""Deliveries before a message is a dead letter at most (API)."""
POLICY_MEMBERS_MAX = 1_500
"""Members in all bindings of a policy (https://cloud.google.com/iam/quotas)."""
LABELS_MAX = 64
"""Labels of one resource (https://cloud.google.com/pubsub/docs/labels)."""
LABEL_CHARACTERS_MAX = 63
"""Characters of a key or a value of a label (https://cloud.google.com/pubsub/docs/labels)."""
SCHEMA_BYTES_MAX = 300_000
"""Bytes of the definition of a schema (https://cloud.google.com/pubsub/docs/schemas: 300 KB)."""
SCHEMA_REVISIONS_MAX = 20
"""Revisions that a schema has at a time (the same page)."""
STREAMS_MAX = 2_000
"""StreamingPulls that may be open at a time (ours): each takes about 50 kB."""
TRANSFORMS_MAX = 5
"""Single message transforms of one topic or subscription (quotas, unverified)."""
UDF_CODE_BYTES_MAX = 20_000
"""Bytes of the code of a JavaScript function (quotas, unverified: 20 KB)."""
UDF_S_MAX = 0.5
"""Seconds that a JavaScript function may take for one message (quotas, unverified: 500 ms)."""
UDF_BYTES_MAX = 256 << 20
"""Bytes of memory that the functions of one resource may take (ours)."""
PUSH_WINDOW_MIN = 3
"""Push requests that may be open at first (push page: a single-digit number)."""
PUSH_WINDOW_MAX = 1_000
"""Push requests of one subscription that may be open at most (ours)."""
PUSH_BYTES_MAX = 64 << 20
"""Bytes of messages of one subscription that may be on their way at most (ours: memory)."""
PUSH_PAUSE_S_MIN = 0.1
"""Seconds without a push after a failure (push page)."""
PUSH_PAUSE_S_MAX = 60.0
"""Seconds without a push after many failures in a row (push page)."""

PAGE_SIZE_DEFAULT = 100
"""Resources in one page of a list where the request does not say (ours)."""
PAGE_SIZE_MAX = 1_000
"""Resources in one page of a list at most (ours)."""

LEASE_MESSAGES_MAX = 65_536
"""Messages in one lease of the batch extension (ours)."""
LEASE_BYTES_MAX = 64 << 20
"""Bytes of messages in one lease of the batch extension (ours)."""
LEASE_S_MIN = 1
"""Shortest lease of the batch extension, seconds (ours); the longest is as in the API."""
LEASE_WAIT_S_MAX = 60.0
"""Seconds that a lease request may wait for the first message (ours)."""

HTTP_BODY_BYTES_MAX = 32 << 20
"""Bytes of an HTTP request's body, uncompressed (ours): 10 MB of data are 13.4 MB in base64."""
HTTP_BODIES_BYTES_MAX = 128 << 20
"""Bytes of all such bodies that are held at a time (ours)."""
HTTP_BODY_S_MAX = 60.0
"""Seconds within which the body of an HTTP request must have arrived (ours)."""
HTTP_IDLE_S_MAX = 75.0
"""Seconds within which the next HTTP request's headers must have arrived (ours)."""
HTTP_WRITE_S_MAX = 30.0
"""Seconds within which an HTTP client must read some of a response that waits for it (ours)."""
HTTP_WRITE_BYTES_MIN = 64 << 10
"""Bytes that are some, if the response is not smaller (ours)."""
HTTP_CONNECTIONS_MAX = 1_000
"""HTTP connections that may be open at a time (ours)."""
RECEIVE_BYTES_MAX = 64 << 20
"""Bytes of a request that gRPC lets through, so that it is our own check that refuses (ours)."""
SEGMENT_BYTES_MAX = 64 << 20
"""Bytes after which the log begins a new segment (ours)."""
SEGMENT_BYTES_MIN = 1 << 20
"""Bytes below which even a full disk doesn't make the log begin a new segment (ours)."""
SEGMENT_LIVE_SHARE_MIN = 0.25
"""Share of a segment below which what is needed of it is moved, to free the rest (ours)."""
SYNC_INTERVAL_S = 0.1
"""Seconds between syncs with ``--durability=interval`` (ours)."""
MOVE_BYTES_MAX = 4 << 20
"""Bytes that are moved at once, which publishes wait for (ours)."""
DISK_RESERVE_BYTES = 16 << 20
"""Free bytes below which Publish is refused, kept for acks and snapshots that free space (ours)."""
