"""How long the state of each step is kept: until its windows can't be reached any more."""

from __future__ import annotations

from runners.local.expiry import Scope
from runners.local.graph import Graph, lateness_us

__all__ = ["scopes"]


def scopes(graph: Graph) -> dict[str, Scope]:
    """Return the scope of each step that has state or timers."""
    found = {}
    for stage in graph.stages:
        for transform in stage.transforms:
            if transform.unique_name in stage.stateful:
                windowing = graph.windowing_of(graph.main_pcollection(transform))
                coder_impl = windowing.windowfn.get_window_coder().get_impl()
                found[transform.unique_name] = Scope(coder_impl, lateness_us(windowing))
    return found
