"""Two messages are the same if id and publish time are, whichever way they came."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pyarrow as pa

from connectors.identity import IDENTITY_SCHEMA, count_common, identity_chunks, identity_keys
from tests.conftest import PUBLISHED

MICROSECOND = dt.timedelta(microseconds=1)


def messages(*rows: tuple[str, dt.datetime | None]) -> pa.Table:
    """Return identities of messages."""
    columns = [list(column) for column in zip(*rows, strict=True)]
    return pa.table(columns or [[], []], IDENTITY_SCHEMA)


def test_id_and_time_count_together() -> None:
    """One microsecond or one character makes another message; order of columns does not."""
    table = messages(
        ("1", PUBLISHED), ("1", PUBLISHED + MICROSECOND), ("2", PUBLISHED), ("1", PUBLISHED)
    )
    (batch,) = table.to_batches()
    keys = identity_keys(batch)
    assert len({key.tobytes() for key in keys}) == 3
    assert (keys[0] == keys[3]).all()
    (turned,) = table.select(IDENTITY_SCHEMA.names[::-1]).to_batches()
    assert (identity_keys(turned) == keys).all()


def test_chunks_are_the_whole() -> None:
    """Long tables are hashed in parts, and no row is left out."""
    ids = pa.array(np.arange(40_000)).cast(pa.string())
    times = pa.array(np.arange(40_000)).cast(IDENTITY_SCHEMA.field(1).type)
    batch = pa.record_batch([ids, times], IDENTITY_SCHEMA)
    table = pa.Table.from_batches([batch.slice(0, 30_000), batch.slice(30_000)])
    chunks = list(identity_chunks(table))
    assert max(map(len, chunks)) <= 1 << 14
    assert (np.concatenate(chunks) == identity_keys(batch)).all()


def test_common_messages_are_counted() -> None:
    """Those of equal id and other time are not common; a time that was never set is equal."""
    ours = messages(("1", PUBLISHED), ("2", PUBLISHED), ("3", PUBLISHED), ("4", None))
    theirs = messages(
        ("1", PUBLISHED), ("1", PUBLISHED), ("2", PUBLISHED + MICROSECOND), ("4", None)
    )
    assert count_common(ours, theirs) == 2
    assert count_common(ours, messages()) == 0
    assert count_common(messages(), theirs) == 0
