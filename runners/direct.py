"""The runner for bounded work on this machine: tests, notebooks, draining a backlog.

Beam's own name ``DirectRunner`` is a switch that first tries to download a Go binary, and its
choice depends on the graph. What depends on a runner names it: this one is the FnApiRunner,
in this process, with one worker.
"""

from __future__ import annotations

from apache_beam.runners.portability.fn_api_runner import FnApiRunner

__all__ = ["bounded_runner", "is_bounded"]

_NAMES = ("directrunner", "fnapirunner", "direct")


def is_bounded(name: str | None) -> bool:
    """Tell whether a name of a runner, in any case as Beam takes it, means this one; none does."""
    return name is None or name.lower() in _NAMES


def bounded_runner() -> FnApiRunner:
    """Return the runner. It keeps state and shuffles in memory and holds nothing afterwards."""
    return FnApiRunner()
