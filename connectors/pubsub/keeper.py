"""Keeps leases alive from a background thread, for as long as the run lasts."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence

import grpc

from connectors.pubsub.delivery import Lease, Subscription

__all__ = ["LeaseKeeper"]

_log = logging.getLogger(__name__)

TURNS = 3
"""Extensions in one ack deadline: two may fail before a lease expires."""


class LeaseKeeper:
    """Extends every lease that it holds, again and again, until it is stopped.

    A failed extension waits for the next turn. A lease that expires all the same costs a
    redelivery, which the reader drops, and is extended no more.

    Args:
        subscription: extends the leases.
        ack_deadline_s: how long a lease lasts without extension.
    """

    def __init__(self, subscription: Subscription, ack_deadline_s: float) -> None:
        self._subscription = subscription
        self._interval_s = ack_deadline_s / TURNS
        self._guard = threading.Lock()
        self._alive: list[Lease] = []
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lease-keeper", daemon=True)
        self._thread.start()

    def hold(self, lease: Lease) -> None:
        """Keep a lease alive from now on."""
        with self._guard:
            self._alive.append(lease)

    def drop(self, leases: Sequence[Lease]) -> None:
        """Leave leases alone from now on; those that expired or never were held are no error."""
        gone = {id(lease) for lease in leases}
        with self._guard:
            self._alive = [lease for lease in self._alive if id(lease) not in gone]

    def stop(self) -> None:
        """Extend no more."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.wait(self._interval_s):
            self._extend()

    def _extend(self) -> None:
        with self._guard:
            before = list(self._alive)
        if not before:
            return
        try:
            still = self._subscription.extend(before)
        except grpc.RpcError as error:
            _log.debug("leases not extended, next try in %.0f s: %s", self._interval_s, error)
            return
        except Exception:  # noqa: BLE001 - whatever it is, the next turn must come
            _log.warning("leases not extended, next try in %.0f s", self._interval_s, exc_info=True)
            return
        # By identity, for a lease may be an array. It is alive here, so that no other has its id.
        held = {id(lease) for lease in still}
        self.drop([lease for lease in before if id(lease) not in held])
