"""The runner for bounded work on this machine: tests, notebooks, draining a backlog.

Beam's own name ``DirectRunner`` is a switch that first tries to download a Go binary, and its
choice depends on the graph. What depends on a runner names it: this one is the FnApiRunner,
in this process, with one worker.
"""

from __future__ import annotations

from apache_beam.runners.portability.fn_api_runner import FnApiRunner

__all__ = ["NAMES", "bounded_runner"]

NAMES = ("DirectRunner", "BundleBasedDirectRunner", "FnApiRunner", "direct")
"""What a user may call it on the command line."""


def bounded_runner() -> FnApiRunner:
    """Return the runner. It keeps state and shuffles in memory and holds nothing afterwards."""
    return FnApiRunner()
