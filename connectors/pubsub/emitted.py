"""The messages of one bundle, to recognise them when they are delivered again."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from connectors.identity import (
    IDENTITY_SCHEMA,
    decode_identities,
    encode_identities,
    identity_chunks,
    identity_keys,
)
from transforms.fingerprint import Keys
from transforms.seen import SeenSet

__all__ = ["Emitted"]


class Emitted:
    """A set of messages, hashed only when somebody asks for one.

    As long as ids rise nobody does: each message is then newer than all before it.
    """

    def __init__(self, messages: pa.Table | None = None) -> None:
        self._messages = [] if messages is None else messages.to_batches()
        self._keys = SeenSet()
        self._hashed = 0  # of the batches
        self._encoded: bytes | None = None

    @classmethod
    def decode(cls, encoded: bytes) -> Emitted:
        """Return what was encoded."""
        emitted = cls(decode_identities(encoded))
        emitted._encoded = encoded
        return emitted

    def encode(self) -> bytes:
        """Return the messages as bytes; see ``encode_identities``."""
        if self._encoded is None:
            self._encoded = encode_identities(self.messages())
        return self._encoded

    def messages(self) -> pa.Table:
        """Return the messages as ``IDENTITY_SCHEMA``."""
        return pa.Table.from_batches(self._messages, IDENTITY_SCHEMA)

    def __len__(self) -> int:
        return sum(len(batch) for batch in self._messages)

    def append(self, identities: pa.RecordBatch) -> None:
        """Add messages of which none is in here yet, nor twice among them."""
        # A copy: the columns may point into a response, and would keep all its payloads alive.
        self._messages.append(identities.take(pa.array(np.arange(len(identities)))))
        self._encoded = None

    def add(self, identities: pa.RecordBatch) -> npt.NDArray[np.bool_]:
        """Add messages; return true for each that was not in here before, the first of equals."""
        self._hash()
        new = self._keys.add(identity_keys(identities), 0)
        self.append(identities.filter(pa.array(new)))
        self._hashed += 1
        return new

    def holds(self, keys: Keys) -> npt.NDArray[np.bool_]:
        """Return true for each key of ``identity_keys`` whose message is in here."""
        self._hash()
        return self._keys.holds(keys)

    def without(self, keys: Keys) -> Emitted:
        """Return the messages but those with these keys."""
        gone = SeenSet()
        gone.add(keys, 0)
        return Emitted(
            pa.Table.from_batches(
                [
                    batch.filter(pa.array(~gone.holds(identity_keys(batch))))
                    for batch in self._messages
                ],
                IDENTITY_SCHEMA,
            )
        )

    def _hash(self) -> None:
        if self._hashed < len(self._messages):
            behind = pa.Table.from_batches(self._messages[self._hashed :], IDENTITY_SCHEMA)
            for keys in identity_chunks(behind):
                self._keys.add(keys, 0)
            self._hashed = len(self._messages)
