"""Which delivered messages are new: each enters a run once, and none that is committed already."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from connectors.identity import IDENTITY_SCHEMA, identity_chunks, identity_keys
from transforms import metrics
from transforms.batch import Batch
from transforms.message import MESSAGE_ID
from transforms.seen import SeenSet

__all__ = ["Intake", "RisingIds"]


class Intake:
    """Lets each message of a run through once, and none that an earlier run has committed.

    As long as ids are numbers that rise, a message with a higher one is new without a look at
    those before. So it is with our broker, until something is delivered again; only then are the
    identities hashed, and compared from there on.

    Args:
        committed: messages whose results are safe already, as ``IDENTITY_SCHEMA``.
    """

    def __init__(self, committed: pa.Table) -> None:
        self._committed = committed
        self._admitted: list[pa.RecordBatch] = []
        self._unhashed: list[pa.RecordBatch] = []
        self._unhashed_rows = 0
        self._held = SeenSet()
        self._settled: SeenSet | None = None
        self._ids = RisingIds()
        for batch in committed.to_batches():
            self._ids.rise(batch.column(MESSAGE_ID))

    @property
    def held(self) -> int:
        """Number of different messages that were delivered."""
        return len(self._held) + self._unhashed_rows

    def messages(self) -> pa.Table:
        """Return the messages that were let through, as ``IDENTITY_SCHEMA``."""
        return pa.Table.from_batches(self._admitted, IDENTITY_SCHEMA)

    def admit(self, messages: Batch) -> Batch:
        """Return the messages that neither this run nor an earlier one has seen."""
        identities = messages.select(IDENTITY_SCHEMA.names)
        if self._ids.rise(identities.column(MESSAGE_ID)):
            rows, fresh = np.arange(len(messages)), messages
        else:
            new = self._compare(identities.rows)
            rows, fresh = np.flatnonzero(new), messages.filter(pa.array(new))
        # A copy: the columns may point into a response, and would keep all its payloads alive.
        admitted = identities.take(pa.array(rows)).rows
        self._admitted.append(admitted)
        if fresh is messages:
            self._unhashed.append(admitted)
            self._unhashed_rows += len(messages)
        metrics.MESSAGES_READ.inc(len(fresh))
        metrics.MESSAGES_REDELIVERED.inc(len(messages) - len(fresh))
        return fresh

    def _compare(self, identities: pa.RecordBatch) -> npt.NDArray[np.bool_]:
        """Return which messages are new, by what they are."""
        self._hash()
        keys = identity_keys(identities)
        new = self._held.add(keys, 0)
        if self._settled:
            # Each key gets here once, so that adding it is the same as looking it up.
            new[new] = self._settled.add(keys[new], 0)
        return new

    def _hash(self) -> None:
        for identities in self._unhashed:
            self._held.add(identity_keys(identities), 0)
        self._unhashed, self._unhashed_rows = [], 0
        if self._settled is None:
            self._settled = SeenSet()
            for keys in identity_chunks(self._committed):
                self._settled.add(keys, 0)


class RisingIds:
    """Watches whether ids are numbers that only rise."""

    def __init__(self) -> None:
        self._highest: int | None = -1

    def rise(self, ids: pa.StringArray) -> bool:
        """Return whether each id is a number above all before it, in this batch and earlier."""
        numbers = _numbers(ids)
        if numbers is None or self._highest is None:
            self._highest = None  # some id can't be compared, now or earlier
            return False
        if not len(numbers):
            return True
        rising = bool(numbers[0] > self._highest and (np.diff(numbers) > 0).all())
        self._highest = max(self._highest, int(numbers.max()))
        return rising


def _numbers(ids: pa.StringArray) -> npt.NDArray[np.int64] | None:
    try:
        numbers = ids.cast(pa.int64())
    except pa.ArrowInvalid:
        return None
    return None if numbers.null_count else numbers.to_numpy()
