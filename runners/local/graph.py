"""A pipeline as the runner executes it: nodes, the buffers between them, and stable names.

Whatever is kept in the store is kept under names that follow from the steps' own labels, so that
a pipeline that is started again, perhaps with steps added elsewhere, finds its state.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from apache_beam.coders import WindowedValueCoder
from apache_beam.transforms.core import Windowing

from runners.local.delays import restore_delays
from runners.local.internals import (
    DATA_INPUT_URN,
    DATA_OUTPUT_URN,
    beam_fn_api_pb2,
    beam_runner_api_pb2,
    common_urns,
    pickler,
    pipeline_context,
    translations,
)
from runners.local.nodes import GroupNode, Port, SideInput, StageNode, StreamNode, TimerSpec
from runners.local.translation import (
    GROUP,
    IMPULSE,
    STABLE,
    STREAM,
    buffer_parts,
    par_do_payload,
    translate,
)

__all__ = ["Graph", "lateness_us"]

_BOUNDED = beam_runner_api_pb2.IsBounded.BOUNDED
_PROCESS_URN = common_urns.sdf_components.PROCESS_SIZED_ELEMENTS_AND_RESTRICTIONS.urn


class Graph:
    """The nodes in topological order, and who reads and writes each buffer.

    Args:
        pipeline: a ``beam_runner_api_pb2.Pipeline``.
        drain: sources are truncated: they end as soon as what they hold is out.
    """

    def __init__(self, pipeline: Any, *, drain: bool = False) -> None:
        self._translation, stages = translate(pipeline, drain=drain)
        self.components = self._translation.components
        self.stages: list[StageNode] = []
        self.producers: dict[bytes, list[StageNode]] = defaultdict(list)
        self.readers: dict[bytes, list[Port]] = defaultdict(list)
        self.side_readers: dict[bytes, list[SideInput]] = defaultdict(list)
        nodes = [self._stage_node(stage) for stage in stages]
        self._translation.use_state_iterables = False
        for pcollection in list(self.components.pcollections):
            if pcollection not in self._translation.data_channel_coders:
                self._translation.add_data_channel_coder(pcollection)
        # Only now do all coders exist that a PipelineContext must know.
        # The runner never looks into values that a harness reads by need.
        self.context = pipeline_context.PipelineContext(
            self.components, iterable_state_read=lambda _token, _coder: ()
        )
        self._names = self._pcollection_names(stages)
        for node in nodes:
            self._connect(node)
            # Beam names a stage by all that is fused into it, which other steps may change.
            node.name = min((port.name for port in node.ports.values()), default=node.name)
        self.groups = list(self._group_nodes())
        self.streams = list(self._stream_nodes(pipeline))

    # --- stages -------------------------------------------------------------------------------

    def _stage_node(self, stage: Any) -> StageNode:
        node = StageNode(stage.name, stage.environment, list(stage.transforms))
        for transform in node.transforms:
            if transform.spec.urn in (DATA_INPUT_URN, DATA_OUTPUT_URN):
                node.channel_coders[transform.unique_name] = self._channel_coder(transform)
        self.stages.append(node)
        return node

    def _channel_coder(self, transform: Any) -> str:
        """Return the coder between runner and harness; of panes it may refer to the state."""
        translation = self._translation
        reads = transform.spec.urn == DATA_INPUT_URN
        ends = transform.outputs if reads else transform.inputs
        pcollection = translations.only_element(ends.values())
        panes = reads and transform.spec.payload.startswith(GROUP.encode())
        translation.use_state_iterables = panes
        translation.add_data_channel_coder(pcollection, is_input=panes)
        return str(translation.data_channel_coders[pcollection])

    def _connect(self, node: StageNode) -> None:
        for transform in node.transforms:
            if transform.spec.urn == DATA_INPUT_URN:
                port = self._port(node, transform)
                node.ports[transform.unique_name] = port
                self.readers[port.buffer].append(port)
            elif transform.spec.urn == DATA_OUTPUT_URN:
                buffer = bytes(transform.spec.payload)
                node.outputs[transform.unique_name] = buffer
                self.producers[buffer].append(node)
            else:
                self._add_par_do(node, transform)
        node.environment = node.environment or next(iter(self.components.environments))

    def _port(self, node: StageNode, transform: Any) -> Port:
        buffer = bytes(transform.spec.payload)
        if buffer == IMPULSE:
            return Port(transform.unique_name, transform.unique_name, buffer, stable=False)
        kind, name = buffer_parts(buffer)
        output = translations.only_element(transform.outputs.values())
        consumers = sorted(
            other.unique_name for other in node.transforms if output in other.inputs.values()
        )
        # A drain inserts a truncation before a source; its input is the same port.
        first = consumers[0] if consumers else "nothing"
        consumer = first.replace("/TruncateAndSizeRestriction", "/Process")
        if kind == GROUP:
            producer = self.components.transforms[name].unique_name
        else:
            producer = self._names.get(name, name)
        stable = kind in (GROUP, STABLE)
        return Port(f"{producer} > {consumer}", transform.unique_name, buffer, stable)

    def _pcollection_names(self, stages: list[Any]) -> dict[str, str]:
        """Return names that don't change with other steps: Beam's own count all PCollections."""
        pipeline = self.components.transforms.values()
        fused = [transform for stage in stages for transform in stage.transforms]
        return {
            pcollection: f"{transform.unique_name}.{tag}"
            for transform in (*pipeline, *fused)  # the last word has who puts it out in the end
            if transform.spec.urn != DATA_INPUT_URN and not transform.subtransforms
            for tag, pcollection in transform.outputs.items()
        }

    def _add_par_do(self, node: StageNode, transform: Any) -> None:
        payload = par_do_payload(transform)
        if payload is None:
            return
        if transform.spec.urn == _PROCESS_URN:
            node.splittable = True
        if payload.state_specs or payload.timer_family_specs:
            node.stateful.append(transform.unique_name)
        for family, spec in payload.timer_family_specs.items():
            node.timers.append(
                TimerSpec(
                    transform.unique_name, family, spec.time_domain, spec.timer_family_coder_id
                )
            )
        for tag, proto in payload.side_inputs.items():
            side_input = self._side_input(transform, tag, proto)
            node.side_inputs.append(side_input)
            self.side_readers[side_input.buffer].append(side_input)

    def _side_input(self, transform: Any, tag: str, proto: Any) -> SideInput:
        pcollection = transform.inputs[tag]
        return SideInput(
            transform.unique_name,
            tag,
            translations.create_buffer_id(pcollection),
            proto.access_pattern.urn,
            pickler.loads(proto.window_mapping_fn.payload),
            self.windowing_of(pcollection),
            self.runner_coder(pcollection),
            lateness_us(self.windowing_of(self.main_pcollection(transform))),
        )

    # --- groups and streams -------------------------------------------------------------------

    def _group_nodes(self) -> Iterator[GroupNode]:
        for buffer in list(self.readers):
            if buffer == IMPULSE or buffer_parts(buffer)[0] != GROUP:
                continue
            name = buffer_parts(buffer)[1]
            transform = self.components.transforms[name]
            source = translations.only_element(transform.inputs.values())
            output = translations.only_element(transform.outputs.values())
            # Beam lets one stage read the panes, and give them to all others.
            yield GroupNode(
                transform.unique_name,
                buffer,
                translations.only_element(self.readers[buffer]),
                self.windowing_of(source),
                self.runner_coder(source),
                self.runner_coder(output),
                self.full_coder(source).wrapped_value_coder.value_coder(),
                self.components.pcollections[source].is_bounded == _BOUNDED,
            )

    def _stream_nodes(self, pipeline: Any) -> Iterator[StreamNode]:
        for transform in pipeline.components.transforms.values():
            if transform.spec.urn != common_urns.primitives.TEST_STREAM.urn:
                continue
            payload = beam_runner_api_pb2.TestStreamPayload.FromString(transform.spec.payload)
            outputs = dict(transform.outputs)
            buffers = {
                tag: translations.create_buffer_id(output, kind=STREAM)
                for tag, output in outputs.items()
            }
            channels = self._translation.data_channel_coders
            yield StreamNode(
                transform.unique_name,
                payload,
                self.coder(payload.coder_id),
                buffers,
                {tag: self.coder(channels[out]) for tag, out in outputs.items() if out in channels},
            )

    # --- coders and windows -------------------------------------------------------------------

    def windowing_of(self, pcollection: str) -> Windowing:
        """Return the windowing of a PCollection, with the user's own window function."""
        name = self.components.pcollections[pcollection].windowing_strategy_id
        windowing = self.context.windowing_strategies[name]
        restore_delays(windowing.triggerfn, self.components.windowing_strategies[name].trigger)
        return windowing

    def runner_coder(self, pcollection: str) -> WindowedValueCoder:
        """Return the coder by which the runner reads elements of a PCollection.

        Values of types that the runner need not know stay bytes; windows are the real ones.
        """
        coder_id = self._translation.data_channel_coders[pcollection]
        safe = self.coder(self._translation.safe_coders.get(coder_id, coder_id))
        return WindowedValueCoder(safe.wrapped_value_coder, self.coder(coder_id).window_coder)

    def full_coder(self, pcollection: str) -> WindowedValueCoder:
        """Return the coder by which bundles read and write elements of a PCollection."""
        return self.coder(self._translation.data_channel_coders[pcollection])

    def coder(self, coder_id: str) -> Any:
        """Return a coder by its id."""
        return self.context.coders[coder_id]

    def coder_impl(self, coder_id: str) -> Any:
        """Return what encodes and decodes by a coder."""
        return self.coder(coder_id).get_impl()

    def coder_of(self, stage: StageNode, transform: str) -> WindowedValueCoder:
        """Return the coder by which the runner reads what a transform of a stage reads."""
        return self.runner_coder(self.read_by(stage, transform))

    @staticmethod
    def read_by(stage: StageNode, transform: str) -> str:
        """Return the PCollection that a transform of a stage reads."""
        read = next(t for t in stage.transforms if t.unique_name == transform)
        return str(translations.only_element(read.outputs.values()))

    @staticmethod
    def main_pcollection(transform: Any) -> str:
        """Return the main input of a ParDo."""
        payload = par_do_payload(transform)
        return str(
            translations.only_element(
                name for tag, name in transform.inputs.items() if tag not in payload.side_inputs
            )
        )

    def descriptor(self, node: StageNode, number: int, data_url: str, state_url: str | None) -> Any:
        """Return what a harness is told about a stage."""
        transforms = {}
        for transform in node.transforms:
            copy = beam_runner_api_pb2.PTransform()
            copy.CopyFrom(transform)
            if transform.unique_name in node.channel_coders:
                coder_id = node.channel_coders[transform.unique_name]
                remote = beam_fn_api_pb2.RemoteGrpcPort(coder_id=coder_id)
                remote.api_service_descriptor.url = data_url
                copy.spec.payload = remote.SerializeToString()
            transforms[transform.unique_name] = copy
        components = self.components
        descriptor = beam_fn_api_pb2.ProcessBundleDescriptor(
            id=f"stage-{number}",
            transforms=transforms,
            pcollections=dict(components.pcollections.items()),
            coders=dict(components.coders.items()),
            windowing_strategies=dict(components.windowing_strategies.items()),
            environments=dict(components.environments.items()),
        )
        descriptor.timer_api_service_descriptor.url = data_url
        if state_url is not None:
            descriptor.state_api_service_descriptor.url = state_url
        return descriptor


def lateness_us(windowing: Windowing) -> int:
    """Return the allowed lateness of a windowing."""
    lateness = windowing.allowed_lateness
    return 0 if lateness is None else int(lateness.micros)
