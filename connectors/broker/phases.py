"""The phases of a message in one subscription, as numbers in a column.

READY        to be delivered, oldest first
QUEUED       the same, of an ordering key: when it is the key's turn
BACKING_OFF  to be delivered when the backoff of its last failure is over
LEASED       with a subscriber
SETTLING     its ack was accepted and is on the way to the log
DEFERRED     acked before an earlier message of its ordering key, and waits for that one
DEAD         delivered too often, to be forwarded to the dead letter topic
ACKED        done
"""

from __future__ import annotations

__all__ = [
    "ACKED",
    "BACKING_OFF",
    "COUNT",
    "DEAD",
    "DEFERRED",
    "LEASED",
    "QUEUED",
    "READY",
    "SETTLING",
]

COUNT = 8
READY, QUEUED, BACKING_OFF, LEASED, SETTLING, DEFERRED, DEAD, ACKED = range(COUNT)
