"""Instructions to a harness, and their answers, as long as there is one to answer."""

from __future__ import annotations

from typing import Any

__all__ = ["ask", "failure_of"]


def failure_of(handler: Any) -> RuntimeError | None:
    """Return why the process of a harness is gone, if it has one, and nobody has ended it."""
    return getattr(handler, "failure", None)


def ask(handler: Any, request: Any) -> Any:
    """Return the answer to an instruction.

    Args:
        handler: Beam's handler of the harness.
        request: the instruction.

    Raises:
        RuntimeError: the process of the harness is gone.
    """
    future = handler.control_conn.push(request)
    # What was asked when the process ended gets that for an answer. What comes later gets none.
    failure = failure_of(handler)
    if failure is not None:
        raise failure
    return future.get()
