"""What makes a message the same one: its id together with the time of its publishing.

An id is unique within a topic, for as long as its server remembers the topic. A broker or an
emulator that starts anew gives out the same ids again. By the id alone its messages would be
taken for old ones that come again, and acknowledged unread; but they are published later. A
redelivery changes neither id nor time.
"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from transforms.fingerprint import Keys, fingerprint
from transforms.message import MESSAGE_ID, MESSAGE_SCHEMA, PUBLISH_TIME
from transforms.seen import SeenSet

__all__ = [
    "IDENTITY_SCHEMA",
    "count_common",
    "decode_identities",
    "encode_identities",
    "identity_chunks",
    "identity_keys",
]

IDENTITY_SCHEMA = pa.schema([MESSAGE_SCHEMA.field(MESSAGE_ID), MESSAGE_SCHEMA.field(PUBLISH_TIME)])
"""The columns that identify a message."""

_CHUNK_ROWS = 1 << 14
"""Hashed at once: few enough for temporary arrays to stay in the cache."""


def identity_keys(messages: pa.RecordBatch) -> Keys:
    """Return the fingerprint of each message, from the columns of ``IDENTITY_SCHEMA``."""
    return fingerprint([messages.column(name) for name in IDENTITY_SCHEMA.names]).keys


def identity_chunks(messages: pa.Table) -> Iterator[Keys]:
    """Yield the fingerprints of many messages, a bounded number at a time."""
    return map(identity_keys, messages.to_batches(max_chunksize=_CHUNK_ROWS))


def count_common(ours: pa.Table, theirs: pa.Table) -> int:
    """Return how many messages are in both; each is in ``ours`` once."""
    seen = SeenSet()
    for keys in identity_chunks(theirs):
        seen.add(keys, 0)
    return sum(int((~seen.add(keys, 0)).sum()) for keys in identity_chunks(ours))


def encode_identities(messages: pa.Table) -> bytes:
    """Leave out what neighbours share: the beginnings of their ids, most bits of their times.

    A message of our broker takes 0.1 bytes where publishes are large and 1.4 where each is on
    its own; with random ids of 17 digits and times in any order it takes 12.
    """
    sink = pa.BufferOutputStream()
    pq.write_table(
        messages,
        sink,
        compression="zstd",
        use_dictionary=False,
        column_encoding={MESSAGE_ID: "DELTA_BYTE_ARRAY", PUBLISH_TIME: "DELTA_BINARY_PACKED"},
    )
    return sink.getvalue().to_pybytes()


def decode_identities(encoded: bytes) -> pa.Table:
    """Return what ``encode_identities`` was given."""
    return pq.read_table(pa.BufferReader(encoded))
