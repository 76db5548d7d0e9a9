"""Whether a state was written by this pipeline: compared by the names of its steps.

Steps may be added and removed where nothing is stored for them. A step with state, a grouping, and
an input at which elements wait must still be there, and understand what is stored.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from runners.local.errors import StateMismatch
from runners.local.graph import Graph
from runners.local.internals import beam_runner_api_pb2, coders
from runners.local.nodes import StageNode
from runners.local.store import Store
from runners.local.translation import par_do_payload

__all__ = ["check", "describe"]

_DOMAINS = {
    beam_runner_api_pb2.TimeDomain.EVENT_TIME: "event time",
    beam_runner_api_pb2.TimeDomain.PROCESSING_TIME: "processing time",
}

_NAME = "graph"
_INPUT = "input "


def check(graph: Graph, store: Store) -> None:
    """Refuse a state that this pipeline can't go on with; else take note of the pipeline.

    Raises:
        StateMismatch: with each difference that matters.
    """
    now = describe(graph)
    encoded = store.get(_NAME)
    before = now if encoded is None else msgspec.json.decode(encoded, type=dict[str, str])
    waiting = {f"{_INPUT}{port}" for _, port, _ in store.chunks()}
    differences = [
        f"{name} was {text}, and is {now.get(name, 'gone')}"
        for name, text in sorted(before.items())
        if now.get(name) != text and (name in waiting or not name.startswith(_INPUT))
    ]
    unknown = sorted(waiting - set(before))
    differences += [f"{name} has elements, and is unknown" for name in unknown]
    if differences:
        raise StateMismatch(
            store.path,
            "the state is another pipeline's: " + "; ".join(differences),
            "Start the pipeline that wrote it, give another --job_name, or remove the folder",
        )
    store.begin()
    store.put(_NAME, msgspec.json.encode(now))
    store.commit()


def describe(graph: Graph) -> dict[str, str]:
    """Return what must not change, by the name under which it is stored."""
    return dict([*_ports(graph), *_groups(graph), *_steps(graph)])


def _ports(graph: Graph) -> Iterator[tuple[str, str]]:
    for stage in graph.stages:
        for port in stage.ports.values():
            coder = graph.coder_of(stage, port.transform)
            yield f"{_INPUT}{port.name}", f"elements of {_coder(coder)}"


def _groups(graph: Graph) -> Iterator[tuple[str, str]]:
    for group in graph.groups:
        windowing = group.windowing
        yield (
            f"grouping {group.name}",
            (
                f"{_coder(group.input_coder)} in {type(windowing.windowfn).__name__} "
                f"with {windowing.triggerfn!r}"
            ),
        )


def _steps(graph: Graph) -> Iterator[tuple[str, str]]:
    for stage in graph.stages:
        for transform in stage.transforms:
            payload = par_do_payload(transform)
            if payload is not None and transform.unique_name in stage.stateful:
                states = sorted(
                    f"{name}: {_state(graph, spec)}" for name, spec in payload.state_specs.items()
                )
                timers = sorted(
                    f"{name}: timer in {_DOMAINS[spec.time_domain]}"
                    for name, spec in payload.timer_family_specs.items()
                )
                text = ", ".join([f"keys of {_keys(graph, stage)}", *states, *timers])
                yield f"state {transform.unique_name}", text


def _state(graph: Graph, spec: Any) -> str:
    kind = spec.WhichOneof("spec")
    fields = getattr(spec, kind).ListFields()
    coders_of = [_coder(graph.coder(value)) for field, value in fields if "coder_id" in field.name]
    return f"{kind} of {' and '.join(coders_of)}"


def _keys(graph: Graph, stage: StageNode) -> str:
    """Return the coder of the keys: each has its state under its encoding."""
    keys = (
        graph.coder_of(stage, transform).wrapped_value_coder.key_coder()
        for transform in stage.ports
    )
    return ", ".join(map(_coder, keys))


def _coder(coder: coders.Coder) -> str:
    return str(coder)
