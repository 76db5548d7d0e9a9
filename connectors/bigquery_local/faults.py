"""Faults on request: what goes wrong next, for tests of clients."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from connectors.bigquery_local.errors import Code, Refusal

__all__ = ["Fault", "Faults", "Injected", "strike_now"]


@dataclass(frozen=True)
class Fault:
    """What happens to some of the next calls.

    Args:
        code: name of the gRPC status, such as ``UNAVAILABLE``; empty lets the call succeed.
        target: regular expression, searched for in the name of the stream, or of the table for
            calls that have no stream; REST has names with dots.
        method: ``AppendRows``, another method of the gRPC services, ``*`` for all, or one of
            ``datasets.get``, ``insertAll``, ``jobs.insert``, ``tables.get`` and ``tables.insert``.
        times: how many calls.
        skip: how many matching calls go well before.
        after: the call has its effect, and only its answer is lost.
        in_response: the error is the ``error`` of an AppendRows response and the connection goes
            on; else it ends the call, as a lost connection does.
        delay_s: seconds that the answer waits.
        text: of the error.
    """

    code: str = ""
    target: str = ""
    method: str = "AppendRows"
    times: int = 1
    skip: int = 0
    after: bool = False
    in_response: bool = False
    delay_s: float = 0.0
    text: str = "injected fault"

    def __post_init__(self) -> None:
        if self.code and self.code not in Code.__members__:
            raise ValueError(f"fault code {self.code!r}: must be one of {sorted(Code.__members__)}")
        re.compile(self.target)

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Fault:
        """Return the fault that a ``POST /faults`` describes.

        Raises:
            Refusal: a field is unknown or wrong.
        """
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(body) - known):
            raise Refusal(
                Code.INVALID_ARGUMENT,
                f"Unknown fields of a fault: {unknown}; known: {sorted(known)}.",
            )
        try:
            return cls(**body)
        except (TypeError, ValueError, re.error) as error:
            raise Refusal(Code.INVALID_ARGUMENT, f"Invalid fault: {error}") from None


def strike_now(fault: Fault | None, *, after: bool) -> None:
    """Raise the error of a fault.

    Args:
        fault: of a call, if there is one.
        after: the call has had its effect.

    Raises:
        Injected: the fault is one for this moment.
    """
    if fault and fault.code and fault.after == after:
        raise Injected(fault)


class Injected(Refusal):
    """An injected error.

    Args:
        fault: that asked for it.
    """

    def __init__(self, fault: Fault) -> None:
        super().__init__(Code[fault.code], fault.text)
        self.in_response = fault.in_response


@dataclass
class _Pending:
    fault: Fault
    skip: int
    times: int


class Faults:
    """The faults to come, in the order in which they were added. Safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pending: list[_Pending] = []

    def add(self, fault: Fault) -> None:
        """Let a fault happen."""
        with self._lock:
            self._pending.append(_Pending(fault, fault.skip, fault.times))

    def clear(self) -> None:
        """Let no further fault happen."""
        with self._lock:
            self._pending.clear()

    def left(self) -> int:
        """Return how many calls are still to fail."""
        with self._lock:
            return sum(pending.times for pending in self._pending)

    def strike(self, method: str, target: str) -> Fault | None:
        """Return the fault of a call that begins, after its delay.

        The caller raises it: before the effect of the call, or after it where ``after`` is set.
        """
        fault = self._take(method, target)
        if fault and fault.delay_s:
            time.sleep(fault.delay_s)
        return fault

    def _take(self, method: str, target: str) -> Fault | None:
        with self._lock:
            for pending in self._pending:
                fault = pending.fault
                if fault.method not in ("*", method) or not re.search(fault.target, target):
                    continue
                if pending.skip:
                    pending.skip -= 1
                    continue
                pending.times -= 1
                if not pending.times:
                    self._pending.remove(pending)
                return fault
        return None
