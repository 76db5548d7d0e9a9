"""From a pipeline's proto to fused stages: Beam's own phases, and two of ours.

A Reshuffle and a TestStream are executed by the runner. Each is turned into a write to a buffer
and a read from it, as Beam does with a GroupByKey. Buffers are named ``KIND:NAME``:

    materialize:PCOLLECTION   elements between two stages
    group:TRANSFORM           the input and the panes of a GroupByKey
    stable:TRANSFORM          a Reshuffle: committed before it is read
    stream:PCOLLECTION        an output of a TestStream
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from typing import Any

from runners.local.internals import (
    DATA_INPUT_URN,
    DATA_OUTPUT_URN,
    IDENTITY_DOFN_URN,
    beam_runner_api_pb2,
    common_urns,
    merge_common_environments,
    merge_superset_dep_environments,
    proto_utils,
    translations,
)

__all__ = [
    "GROUP",
    "IMPULSE",
    "MATERIALIZE",
    "STABLE",
    "STREAM",
    "buffer_parts",
    "par_do_payload",
    "translate",
]

GROUP, MATERIALIZE, STABLE, STREAM = "group", "materialize", "stable", "stream"
IMPULSE = translations.IMPULSE_BUFFER

_ASSIGN_WINDOWS_URN = common_urns.primitives.ASSIGN_WINDOWS.urn
_FLATTEN_URN = common_urns.primitives.FLATTEN.urn
_RESHUFFLE_URN = common_urns.composites.RESHUFFLE.urn
_TEST_STREAM_URN = common_urns.primitives.TEST_STREAM.urn


def buffer_parts(buffer: bytes) -> tuple[str, str]:
    """Return the kind and the name of a buffer."""
    kind, name = translations.split_buffer_id(buffer)
    return kind, name


def translate(pipeline: Any, *, drain: bool) -> tuple[Any, list[Any]]:
    """Return the translation context and the fused stages of a pipeline, in topological order.

    Args:
        pipeline: its ``beam_runner_api_pb2.Pipeline``; not changed.
        drain: whether sources are to be truncated.
    """
    merged = merge_common_environments(merge_superset_dep_environments(copy.deepcopy(pipeline)))
    phases = [
        translations.annotate_downstream_side_inputs,
        translations.annotate_stateful_dofns_as_roots,
        translations.fix_side_input_pcoll_coders,
        _expand_exact_combiners,
        translations.pack_combiners,
        translations.lift_combiners,
        translations.expand_sdf,
        _expand_reshuffles,
        _expand_test_streams,
        translations.expand_gbk,
        _assign_windows_before_flattens,
        translations.sink_flattens,
        translations.greedily_fuse,
        translations.read_to_impulse,
        translations.impulse_to_input,
        translations.sort_stages,
        translations.add_impulse_to_dangling_transforms,
        translations.setup_timer_mapping,
    ]
    return translations.create_and_optimize_stages(
        merged,
        phases=phases,
        known_runner_urns=frozenset(
            [
                _FLATTEN_URN,
                common_urns.primitives.GROUP_BY_KEY.urn,
                _RESHUFFLE_URN,
                _TEST_STREAM_URN,
            ]
        ),
        is_drain=drain,
    )


def _expand_exact_combiners(stages: Iterable[Any], context: Any) -> Iterator[Any]:
    """Keep a combiner in one piece where the earliest timestamp of a pane counts.

    A lifted one gives to all that it combines the earliest timestamp, also of late elements: then
    the pane can't have that of the earliest element that was in time.
    """
    components = context.components
    for stage in stages:
        transform = stage.transforms[0]
        combines = transform.spec.urn == common_urns.composites.COMBINE_PER_KEY.urn
        if combines and _outputs_at_earliest(transform, components):
            yield from translations.leaf_transform_stages(
                transform.subtransforms, components, parent=stage.name
            )
        else:
            yield stage


def _outputs_at_earliest(transform: Any, components: Any) -> bool:
    source = components.pcollections[next(iter(transform.inputs.values()))]
    strategy = components.windowing_strategies[source.windowing_strategy_id]
    return bool(strategy.output_time == beam_runner_api_pb2.OutputTime.EARLIEST_IN_PANE)


def _expand_reshuffles(stages: Iterable[Any], context: Any) -> Iterator[Any]:
    pcollections = context.components.pcollections
    for stage in stages:
        transform = stage.transforms[0]
        if transform.spec.urn != _RESHUFFLE_URN:
            yield stage
            continue
        output = translations.only_element(transform.outputs.values())
        source = _main_input(transform, output, context)
        if pcollections[source].coder_id != pcollections[output].coder_id:
            # What is read is what was written, byte for byte.
            step = f"{transform.unique_name}/Transcode", _spec(IDENTITY_DOFN_URN)
            coder = pcollections[output].coder_id
            transcode, source = _convert(source, step, stage, context, coder_id=coder)
            yield transcode
        for pcollection in (source, output):
            context.length_prefix_pcoll_coders(pcollection)
        buffer = translations.create_buffer_id(transform.unique_name, kind=STABLE)
        write = _stage(
            f"{transform.unique_name}/Write", stage, DATA_OUTPUT_URN, buffer, inputs={"in": source}
        )
        yield write
        yield _stage(
            f"{transform.unique_name}/Read", stage, DATA_INPUT_URN, buffer,
            outputs={"out": output}, follows=frozenset([write]),
        )  # fmt: skip


def _convert(
    source: str, step: tuple[str, Any], origin: Any, context: Any, **form: str
) -> tuple[Any, str]:
    """Return a stage that passes elements on in another form, and the PCollection that it gives.

    Args:
        source: the PCollection that it reads.
        step: its name, and the ``FunctionSpec`` of what it does in the SDK's harness.
        origin: the stage that needs the form.
        context: gets the new PCollection.
        form: the fields in which that differs from the source.
    """
    name, spec = step
    pcollections = context.components.pcollections
    output = translations.unique_name(pcollections, f"{name}/out")
    pcollections[output].CopyFrom(pcollections[source])
    pcollections[output].MergeFrom(beam_runner_api_pb2.PCollection(unique_name=output, **form))
    transform = beam_runner_api_pb2.PTransform(
        unique_name=name,
        inputs={"in": source},
        outputs={"out": output},
        spec=spec,
        environment_id=_environment(source, context),
    )
    return translations.Stage(name, [transform], frozenset(), origin.must_follow), output


def _environment(pcollection: str, context: Any) -> str:
    """Return the environment of the step that gives a PCollection."""
    for transform in context.components.transforms.values():
        if pcollection in transform.outputs.values() and transform.environment_id:
            return str(transform.environment_id)
    return str(next(iter(context.components.environments)))


def _main_input(transform: Any, output: str, context: Any) -> str:
    """Return the input that is passed on: a splittable DoFn's Reshuffle lists side inputs too."""
    inputs = list(transform.inputs.values())
    if len(inputs) == 1:
        return str(inputs[0])
    pcollections = context.components.pcollections
    coder = pcollections[output].coder_id
    return str(next(name for name in inputs if pcollections[name].coder_id == coder))


def _assign_windows_before_flattens(stages: Iterable[Any], context: Any) -> Iterator[Any]:
    """Give the elements that a Flatten reads windows that its output can have.

    Beam only warns of inputs with windows of different kinds, and takes those of the first.
    """
    pcollections = context.components.pcollections
    windowings = context.components.windowing_strategies
    for stage in stages:
        transform = stage.transforms[0]
        if transform.spec.urn == _FLATTEN_URN:
            output = translations.only_element(transform.outputs.values())
            chosen = pcollections[output].windowing_strategy_id
            for tag, source in sorted(transform.inputs.items()):
                given = pcollections[source].windowing_strategy_id
                if windowings[given].window_coder_id == windowings[chosen].window_coder_id:
                    continue
                spec = _spec(_ASSIGN_WINDOWS_URN, windowings[chosen].SerializeToString())
                assign, transform.inputs[tag] = _convert(
                    source, (f"{transform.unique_name}/Windows/{tag}", spec), stage, context,
                    windowing_strategy_id=chosen,
                )  # fmt: skip
                yield assign
        yield stage


def _expand_test_streams(stages: Iterable[Any], context: Any) -> Iterator[Any]:
    for stage in stages:
        transform = stage.transforms[0]
        if transform.spec.urn != _TEST_STREAM_URN:
            yield stage
            continue
        for output in transform.outputs.values():
            context.length_prefix_pcoll_coders(output)
            buffer = translations.create_buffer_id(output, kind=STREAM)
            name = f"{transform.unique_name}/Read/{output}"
            yield _stage(name, stage, DATA_INPUT_URN, buffer, outputs={"out": output})


def _stage(
    name: str,
    origin: Any,
    urn: str,
    payload: bytes,
    *,
    inputs: dict[str, str] | None = None,
    outputs: dict[str, str] | None = None,
    follows: frozenset[Any] = frozenset(),
) -> Any:
    transform = beam_runner_api_pb2.PTransform(
        unique_name=name,
        inputs=inputs,
        outputs=outputs,
        spec=_spec(urn, payload),
    )
    downstream = origin.downstream_side_inputs if outputs else frozenset()
    must_follow = translations.union(follows, origin.must_follow)
    return translations.Stage(name, [transform], downstream, must_follow)


def _spec(urn: str, payload: bytes = b"") -> Any:
    return beam_runner_api_pb2.FunctionSpec(urn=urn, payload=payload)


def par_do_payload(transform: Any) -> Any:
    """Return the payload of a ParDo in any of its forms, or None for another transform."""
    if transform.spec.urn not in translations.PAR_DO_URNS:
        return None
    return proto_utils.parse_Bytes(transform.spec.payload, beam_runner_api_pb2.ParDoPayload)
