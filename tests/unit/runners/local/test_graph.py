"""The graph of a pipeline: its nodes, and names that stay when other steps change."""

from collections.abc import Callable, Iterator
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing import test_stream
from apache_beam.transforms import environments, trigger
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import BagStateSpec, TimerSpec, on_timer
from apache_beam.transforms.window import FixedWindows, Sessions, WindowFn
from apache_beam.utils.timestamp import Duration

from runners.local.graph import Graph, lateness_us
from runners.local.nodes import StageNode

TRIGGER = trigger.AfterWatermark(early=trigger.AfterCount(2), late=trigger.AfterCount(1))

Build = Callable[[beam.Pipeline], Any]


def proto_of(build: Build) -> Any:
    """Return the proto of a pipeline, as the runner gets it."""
    pipeline = beam.Pipeline(options=PipelineOptions([]))
    build(pipeline)
    return pipeline.to_runner_api(
        default_environment=environments.EmbeddedPythonEnvironment.default()
    )


def graph_of(build: Build, *, drain: bool = False) -> Graph:
    """Return the graph of a pipeline."""
    return Graph(proto_of(build), drain=drain)


def stage_of(graph: Graph, step: str) -> StageNode:
    """Return the stage that a step was fused into."""
    (found,) = [
        stage
        for stage in graph.stages
        if any(
            transform.unique_name == step or transform.unique_name.startswith(f"{step}/")
            for transform in stage.transforms
        )
    ]
    return found


def port_names(graph: Graph) -> set[str]:
    return {port.name for stage in graph.stages for port in stage.ports.values()}


SOON = TimerSpec("soon", TimeDomain.REAL_TIME)
END = TimerSpec("end", TimeDomain.WATERMARK)
_SEEN = beam.DoFn.StateParam(BagStateSpec("seen", beam.coders.VarIntCoder()))
_SOON = beam.DoFn.TimerParam(SOON)
_END = beam.DoFn.TimerParam(END)


class Remembers(beam.DoFn):
    def process(
        self, element: tuple[str, int], seen: Any = _SEEN, soon: Any = _SOON, end: Any = _END
    ) -> Iterator[Any]:
        yield element

    @on_timer(SOON)
    def soon(self) -> None:
        """Do nothing."""

    @on_timer(END)
    def end(self) -> None:
        """Do nothing."""


class Counted(beam.RestrictionProvider):
    def initial_restriction(self, element: int) -> Any:
        return beam.io.restriction_trackers.OffsetRange(0, element)

    def create_tracker(self, restriction: Any) -> Any:
        return beam.io.restriction_trackers.OffsetRestrictionTracker(restriction)

    def restriction_size(self, element: int, restriction: Any) -> int:
        return int(restriction.size())


_PLACES = beam.DoFn.RestrictionParam(Counted())


class Count(beam.DoFn):
    def process(self, element: int, tracker: Any = _PLACES) -> Iterator[int]:
        for place in range(tracker.current_restriction().start, element):
            if not tracker.try_claim(place):
                return
            yield place


def usual(pipeline: beam.Pipeline) -> beam.PCollection:
    """Add a source, state, a grouping and a reshuffle."""
    pairs = (
        pipeline
        | "Start" >> beam.Create([3], reshuffle=False)
        | "Count" >> beam.ParDo(Count())
        | "Pair" >> beam.Map(lambda n: (str(n), n)).with_output_types(tuple[str, int])
    )
    remembered = pairs | "Remember" >> beam.ParDo(Remembers()).with_output_types(tuple[str, int])
    grouped = remembered | "Window" >> beam.WindowInto(FixedWindows(10)) | beam.GroupByKey()
    stable = grouped | "Total" >> beam.MapTuple(lambda k, v: sum(v)) | "Stable" >> beam.Reshuffle()
    return stable | "Say" >> beam.Map(str)


def test_stages_are_fused_and_cut_where_they_must() -> None:
    """Steps run together but for a source, state, GroupByKey and Reshuffle, each with its port."""
    graph = graph_of(usual)
    remember = stage_of(graph, "Remember")
    assert remember.stateful == ["Remember"]
    assert {(timer.family.rpartition("-")[2], timer.domain) for timer in remember.timers} == {
        ("soon", 2),
        ("end", 1),
    }
    assert stage_of(graph, "Window") is remember
    assert not remember.splittable
    total, say = stage_of(graph, "Total"), stage_of(graph, "Say")
    assert len({id(remember), id(total), id(say)}) == 3
    assert [port.stable for port in total.ports.values()] == [True]
    assert [port.stable for port in say.ports.values()] == [True]
    assert [port.stable for port in remember.ports.values()] == [False]
    assert [stage.splittable for stage in graph.stages].count(True) == 1
    (group,) = graph.groups
    assert group.name == "GroupByKey"
    assert isinstance(group.windowing.windowfn, FixedWindows)


def test_stages_come_behind_what_they_read() -> None:
    """In the order of the stages, every buffer is written before it is read."""
    graph = graph_of(usual)
    written: set[bytes] = set()
    for stage in graph.stages:
        for port in stage.ports.values():
            producers = graph.producers.get(port.buffer, [])
            assert not producers or port.buffer in written
        written.update(stage.outputs.values())


def test_names_stay_when_steps_are_added_elsewhere() -> None:
    """Ports and stages are named by the steps at both of their ends, whatever else there is."""

    def more(pipeline: beam.Pipeline) -> None:
        other = pipeline | "A first one" >> beam.Create([1]) | "And more" >> beam.Map(str)
        end = usual(pipeline)
        _ = (end | "Text" >> beam.Map(str), other) | beam.Flatten() | "Last" >> beam.Reshuffle()

    before, after = graph_of(usual), graph_of(more)
    assert port_names(before) < port_names(after)
    names = {stage.name for stage in before.stages}
    assert names < {stage.name for stage in after.stages}
    assert {group.name for group in before.groups} == {group.name for group in after.groups}


def test_names_of_what_two_stages_read_stay() -> None:
    """Panes that a second stage gets from the first one wait under the name of their step."""

    def two(pipeline: beam.Pipeline) -> None:
        grouped = pipeline | beam.Create([("a", 1)]) | beam.GroupByKey()
        first = grouped | "First" >> beam.MapTuple(lambda _, values: len(values))
        _ = grouped | "Second" >> beam.Map(repr, beam.pvalue.AsSingleton(first))

    def more(pipeline: beam.Pipeline) -> None:
        _ = pipeline | "A first one" >> beam.Create([1]) | "And more" >> beam.Map(str)
        two(pipeline)

    before, after = graph_of(two), graph_of(more)
    (group,) = before.groups
    assert group.port.name == "GroupByKey > First"
    (second,) = stage_of(before, "Second").ports.values()
    assert second.buffer != group.buffer
    assert second.name == "GroupByKey.None > Second"
    assert port_names(before) < port_names(after)


def test_names_of_a_test_stream_stay() -> None:
    """Its outputs wait under the name of the step as well."""
    graph = graph_of(lambda pipeline: pipeline | test_stream.TestStream() | beam.Map(str))
    assert port_names(graph) == {"TestStream.None > Map(str)"}


def test_names_are_the_same_in_every_start() -> None:
    """Nothing random and no counter of the process goes into a name."""
    first, second = graph_of(usual), graph_of(usual)
    assert port_names(first) == port_names(second)
    assert [stage.name for stage in first.stages] == [stage.name for stage in second.stages]
    assert first.descriptor(first.stages[0], 7, "", None) == second.descriptor(
        second.stages[0], 7, "", None
    )


def test_drain_keeps_the_names() -> None:
    """A drain truncates sources: what waits before them waits at the same port."""
    usually, draining = graph_of(usual), graph_of(usual, drain=True)
    assert port_names(usually) == port_names(draining)
    truncating = [
        transform.unique_name
        for stage in draining.stages
        for transform in stage.transforms
        if "Truncate" in transform.unique_name
    ]
    assert truncating
    assert not [
        transform.unique_name
        for stage in usually.stages
        for transform in stage.transforms
        if "Truncate" in transform.unique_name
    ]


def test_names_of_ports_are_unique() -> None:
    """Also where a PCollection is read twice, flattened with itself, and a side input."""

    def build(pipeline: beam.Pipeline) -> None:
        stable = pipeline | "Start" >> beam.Create([1]) | "Stable" >> beam.Reshuffle()
        both = (stable, stable) | "Both" >> beam.Flatten()
        side = beam.pvalue.AsList(stable)
        _ = both | "Again" >> beam.Reshuffle() | "With" >> beam.Map(lambda n, _: n, side)
        _ = stable | "One" >> beam.Reshuffle()
        _ = stable | "Two" >> beam.Reshuffle()

    graph = graph_of(build)
    names = [port.name for stage in graph.stages for port in stage.ports.values()]
    assert len(names) == len(set(names))
    assert len({stage.name for stage in graph.stages}) == len(graph.stages)


def test_side_input_knows_its_windows() -> None:
    """Its buffer, windowing and mapping are the side's; the lateness is the main input's."""

    def build(pipeline: beam.Pipeline) -> None:
        side = (
            pipeline
            | "Side" >> beam.Create([("a", 1)])
            | "Minutes" >> beam.WindowInto(FixedWindows(60))
        )
        _ = (
            pipeline
            | "Main" >> beam.Create([1])
            | "Seconds" >> beam.WindowInto(FixedWindows(1), allowed_lateness=5)
            | "Look" >> beam.Map(lambda n, found: (n, found), beam.pvalue.AsDict(side))
        )

    graph = graph_of(build)
    stage = stage_of(graph, "Look")
    (side,) = stage.side_inputs
    assert graph.side_readers[side.buffer] == [side]
    assert graph.producers[side.buffer] == [stage_of(graph, "Side")]
    assert side.windowing.windowfn == FixedWindows(60)
    window = FixedWindows(1).assign(WindowFn.AssignContext(61))[0]
    assert side.mapping(window).start == 60
    assert side.lateness_us == 5_000_000


def test_windowing_is_the_users() -> None:
    """A grouping gets window function, trigger and lateness as they were given."""

    def build(pipeline: beam.Pipeline) -> None:
        _ = (
            pipeline
            | beam.Create([("k", 1)])
            | beam.WindowInto(
                Sessions(9),
                trigger=TRIGGER,
                accumulation_mode=trigger.AccumulationMode.ACCUMULATING,
                allowed_lateness=Duration(micros=1_500_000),
            )
            | beam.GroupByKey()
        )

    (group,) = graph_of(build).groups
    assert group.windowing.windowfn == Sessions(9)
    assert group.windowing.triggerfn == TRIGGER
    assert group.windowing.accumulation_mode == trigger.AccumulationMode.ACCUMULATING
    assert lateness_us(group.windowing) == 1_500_000


def test_test_stream_is_a_node_with_a_buffer_for_each_output() -> None:
    """The runner plays it; no harness does."""

    def build(pipeline: beam.Pipeline) -> None:
        stream = test_stream.TestStream().add_elements([1], tag="odd").add_elements([2], tag="even")
        outputs = pipeline | "Events" >> stream
        _ = outputs["odd"] | "Odd" >> beam.Map(str)
        _ = outputs["even"] | "Even" >> beam.Map(str)

    graph = graph_of(build)
    (node,) = graph.streams
    assert set(node.buffers) == {"odd", "even"}
    for tag, step in (("odd", "Odd"), ("even", "Even")):
        assert [port.buffer for port in stage_of(graph, step).ports.values()] == [node.buffers[tag]]
        assert graph.producers.get(node.buffers[tag], []) == []
