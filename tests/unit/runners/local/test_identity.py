"""Whether a state belongs to a pipeline: each difference that matters is named."""

from collections.abc import Callable, Iterator
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.transforms import trigger
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import (
    BagStateSpec,
    CombiningValueStateSpec,
    ReadModifyWriteStateSpec,
    StateSpec,
    TimerSpec,
    on_timer,
)
from apache_beam.transforms.window import FixedWindows, Sessions, WindowFn

from runners.local.errors import StateMismatch
from runners.local.graph import Graph
from runners.local.identity import check, describe
from runners.local.store import Chunk, Store
from tests.unit.runners.local.test_graph import graph_of, port_names, usual

NUMBERS = beam.coders.VarIntCoder()
TEXTS = beam.coders.StrUtf8Coder()


@pytest.fixture
def store() -> Iterator[Store]:
    opened = Store.open(None)
    yield opened
    opened.close()


def remembers(spec: StateSpec, domain: str = TimeDomain.WATERMARK) -> beam.DoFn:
    """Return a step with one state and one timer."""
    timer_spec = TimerSpec("due", domain)
    kept, timed = beam.DoFn.StateParam(spec), beam.DoFn.TimerParam(timer_spec)

    class Remembers(beam.DoFn):
        def process(
            self, element: tuple[Any, int], state: Any = kept, due: Any = timed
        ) -> Iterator[Any]:
            yield element

        @on_timer(timer_spec)
        def due(self) -> None:
            """Do nothing."""

    return Remembers()


def stateful(
    spec: StateSpec, domain: str = TimeDomain.WATERMARK, key: type = str
) -> Callable[[beam.Pipeline], None]:
    def build(pipeline: beam.Pipeline) -> None:
        pairs = pipeline | beam.Create([]).with_output_types(tuple[key, int])
        _ = pairs | "Remember" >> beam.ParDo(remembers(spec, domain))

    return build


def grouping(
    window_fn: WindowFn, when: Any = None, value: type = int
) -> Callable[[beam.Pipeline], None]:
    def build(pipeline: beam.Pipeline) -> None:
        pairs = pipeline | beam.Create([]).with_output_types(tuple[str, value])
        windowed = pairs | beam.WindowInto(
            window_fn,
            trigger=when or trigger.DefaultTrigger(),
            accumulation_mode=trigger.AccumulationMode.DISCARDING,
        )
        _ = windowed | "Group" >> beam.GroupByKey() | "Say" >> beam.Map(str)

    return build


SEEN = BagStateSpec("seen", NUMBERS)


@pytest.mark.parametrize(
    ("before", "after", "difference"),
    [
        (
            stateful(SEEN),
            stateful(BagStateSpec("seen", TEXTS)),
            r"Remember was .*bag_spec of VarIntCoder.*, and is .*bag_spec of StrUtf8Coder",
        ),
        (
            stateful(SEEN),
            stateful(ReadModifyWriteStateSpec("seen", NUMBERS)),
            "seen: read_modify_write_spec",
        ),
        (
            stateful(SEEN),
            stateful(CombiningValueStateSpec("seen", NUMBERS, sum)),
            "seen: combining_spec",
        ),
        (stateful(SEEN), stateful(BagStateSpec("known", NUMBERS)), "known: bag_spec"),
        (stateful(SEEN), stateful(SEEN, TimeDomain.REAL_TIME), "timer in processing time"),
        (stateful(SEEN), stateful(SEEN, key=int), "keys of VarIntCoder"),
        (stateful(SEEN), grouping(FixedWindows(1)), "state Remember was .*, and is gone"),
        (
            grouping(FixedWindows(1)),
            grouping(Sessions(1)),
            "grouping Group was .* in FixedWindows .*, and is .* in Sessions",
        ),
        (
            grouping(FixedWindows(1)),
            grouping(FixedWindows(1), trigger.Repeatedly(trigger.AfterCount(1))),
            r"with Repeatedly\(AfterCount\(1\)\)",
        ),
        (grouping(FixedWindows(1)), grouping(FixedWindows(1), value=str), "StrUtf8Coder"),
        (grouping(FixedWindows(1)), usual, "grouping Group was .*, and is gone"),
    ],
    ids=[
        "coder of a state",
        "kind of a state",
        "combining state",
        "name of a state",
        "domain of a timer",
        "coder of keys",
        "step gone",
        "windows",
        "trigger",
        "coder of values",
        "grouping gone",
    ],
)
def test_difference_is_spelt_out(
    before: Callable[[beam.Pipeline], None],
    after: Callable[[beam.Pipeline], None],
    difference: str,
    store: Store,
) -> None:
    """What was and what is stands in the error, and the state stays the old pipeline's."""
    check(graph_of(before), store)
    with pytest.raises(StateMismatch, match=difference):
        check(graph_of(after), store)
    check(graph_of(before), store)


def test_the_same_pipeline_is_itself(store: Store) -> None:
    """A restart is no difference, nor is a drain."""
    check(graph_of(usual), store)
    check(graph_of(usual), store)
    check(graph_of(usual, drain=True), store)
    check(graph_of(usual), store)


def test_sizes_may_change(store: Store) -> None:
    """Windows of another size are of the same kind: open ones end as they began."""
    check(graph_of(grouping(FixedWindows(1))), store)
    check(graph_of(grouping(FixedWindows(60))), store)


def let_wait(store: Store, port: str) -> int:
    store.begin()
    number = store.add_chunk(port, Chunk(b"element", 0))
    store.commit()
    return number


def with_more(pipeline: beam.Pipeline) -> None:
    """Add steps before others, beside them and behind them."""
    other = pipeline | "Another" >> beam.Create([("k", 1)])
    _ = other | "Remember more" >> beam.ParDo(remembers(SEEN))
    _ = usual(pipeline) | "Finally" >> beam.Reshuffle() | "Loudly" >> beam.Map(str)


def test_steps_may_be_added(store: Store) -> None:
    """All that was there finds its state, and what waits its port; then the new ones count too."""
    before = graph_of(usual)
    check(before, store)
    for port in sorted(port_names(before)):
        let_wait(store, port)
    check(graph_of(with_more), store)
    with pytest.raises(StateMismatch, match=r"state Remember more was .*, and is gone"):
        check(before, store)


def test_input_matters_while_elements_wait(store: Store) -> None:
    """A step without state may go, but not while something waits for it."""

    def other(pipeline: beam.Pipeline) -> None:
        _ = pipeline | beam.Create([1]) | "Stable" >> beam.Reshuffle() | "Other" >> beam.Map(str)

    def one(pipeline: beam.Pipeline) -> None:
        _ = pipeline | beam.Create([1]) | "Stable" >> beam.Reshuffle() | "One" >> beam.Map(str)

    graph = graph_of(one)
    check(graph, store)
    (port,) = (name for name in port_names(graph) if name.endswith("> One"))
    number = let_wait(store, port)
    with pytest.raises(StateMismatch, match=r"input .*> One was elements of .*, and is gone"):
        check(graph_of(other), store)
    store.begin()
    store.remove_chunk(number)
    store.commit()
    check(graph_of(other), store)


def test_elements_of_an_unknown_step_are_refused(store: Store) -> None:
    """Elements that wait where no pipeline was ever known to read are not left behind."""
    check(graph_of(usual), store)
    let_wait(store, "nowhere > Nobody")
    with pytest.raises(StateMismatch, match="input nowhere > Nobody has elements, and is unknown"):
        check(graph_of(usual), store)


def test_description_has_no_addresses() -> None:
    """What differs from process to process would refuse every restart."""

    def texts(graph: Graph) -> str:
        return " ".join([*describe(graph), *describe(graph).values()])

    for build in (usual, stateful(SEEN), grouping(Sessions(2))):
        assert " at 0x" not in texts(graph_of(build))
