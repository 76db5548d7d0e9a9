"""Parts of a bundle for several workers: a key is in one part, and nothing is lost."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.coders import Coder
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import Timer, TimerSpec, on_timer
from apache_beam.transforms.window import GlobalWindow, GlobalWindows
from apache_beam.utils.timestamp import Timestamp
from apache_beam.utils.windowed_value import PANE_INFO_UNKNOWN

from runners.local.bundles import Bundle
from runners.local.elements import each
from runners.local.graph import Graph
from runners.local.nodes import StageNode
from runners.local.partition import partition
from tests.unit.runners.local.test_graph import graph_of, stage_of


class Name:
    """A key of a type that the runner does not know."""

    def __init__(self, text: str) -> None:
        self.text = text


class NameCoder(Coder):
    def encode(self, value: Name) -> bytes:
        return value.text.encode()

    def decode(self, encoded: bytes) -> Name:
        return Name(encoded.decode())

    def is_deterministic(self) -> bool:
        return True

    def to_type_hint(self) -> type:
        return Name


beam.coders.registry.register_coder(Name, NameCoder)


TIMER = TimerSpec("due", TimeDomain.WATERMARK)
_DUE = beam.DoFn.TimerParam(TIMER)


class Timed(beam.DoFn):
    def process(self, element: tuple[Any, int], due: Any = _DUE) -> Iterator[Any]:
        yield element

    @on_timer(TIMER)
    def due(self) -> None:
        """Do nothing."""


KEYS: dict[type, list[Any]] = {
    str: [f"k{number}" for number in range(20)],
    int: list(range(20)),
    Name: [Name(f"n{number}") for number in range(20)],
}


def graph_with(step: beam.PTransform, key: type) -> tuple[Graph, StageNode, str]:
    """Return a pipeline's graph, the stage of its step, and the transform that reads there."""
    pairs = [(key_, 1) for key_ in KEYS[key][:1]]

    def build(pipeline: beam.Pipeline) -> None:
        made = pipeline | beam.Create(pairs).with_output_types(tuple[key, int])
        _ = made | beam.Reshuffle() | "Step" >> step

    graph = graph_of(build)
    stage = stage_of(graph, "Step")
    (transform,) = stage.ports
    return graph, stage, transform


def bundle_of(
    stage: StageNode, transform: str, pieces: list[bytes], timers: dict[tuple[str, str], bytes]
) -> Bundle:
    return Bundle("stage", {transform: pieces}, timers, list(stage.outputs), b"token")


@pytest.mark.parametrize("key", [str, int, Name])
def test_key_is_in_one_part(key: type) -> None:
    """Elements and timers of a key go to the same worker, whatever the key's coder is."""
    graph, stage, transform = graph_with(beam.ParDo(Timed()), key)
    real = graph.coder(stage.channel_coders[transform])
    encode = real.get_impl().encode_nested
    elements = [
        encode(GlobalWindows.windowed_value((each_key, number)))
        for number in range(3)
        for each_key in KEYS[key]
    ]
    (timer,) = stage.timers
    timer_coder = graph.coder(timer.coder_id)
    encoded_timers = b"".join(timer_coder.get_impl().encode_nested(_timer(k)) for k in KEYS[key])
    family = (timer.transform, timer.family)
    bundle = bundle_of(stage, transform, [b"".join(elements)], {family: encoded_timers})
    parts = partition(graph, stage, bundle, 3)
    given = [piece for inputs, _ in parts for piece in inputs[transform]]
    assert Counter(given) == Counter(elements)
    places: dict[str, set[int]] = {}
    for number, (inputs, timers) in enumerate(parts):
        for windowed, _ in each(b"".join(inputs[transform]), real):
            places.setdefault(_text(windowed.value[0]), set()).add(number)
        for fired, _ in each(timers[family], timer_coder):
            places.setdefault(_text(fired.user_key), set()).add(number)
    assert {len(numbers) for numbers in places.values()} == {1}
    assert {number for numbers in places.values() for number in numbers} == {0, 1, 2}


def _timer(key: Any) -> Any:
    return Timer(
        user_key=key,
        dynamic_timer_tag="",
        windows=(GlobalWindow(),),
        clear_bit=False,
        fire_timestamp=Timestamp(5),
        hold_timestamp=Timestamp(5),
        paneinfo=PANE_INFO_UNKNOWN,
    )


def _text(key: Any) -> str:
    return key.text if isinstance(key, Name) else str(key)


def test_order_of_a_key_is_kept() -> None:
    """Within its part, a key's elements come in the order in which they came."""
    graph, stage, transform = graph_with(beam.ParDo(Timed()), str)
    coder = graph.coder(stage.channel_coders[transform])
    encode = coder.get_impl().encode_nested
    data = [
        encode(GlobalWindows.windowed_value((f"k{number % 5}", number))) for number in range(50)
    ]
    (timer,) = stage.timers
    bundle = bundle_of(
        stage, transform, [b"".join(data[:30]), *data[30:]], {(timer.transform, timer.family): b""}
    )
    for inputs, _ in partition(graph, stage, bundle, 2):
        found = [windowed.value for windowed, _ in each(b"".join(inputs[transform]), coder)]
        for key in {key for key, _ in found}:
            of_key = [number for other, number in found if other == key]
            assert of_key == sorted(of_key)


@pytest.mark.parametrize(("pieces", "sizes"), [([7], [4, 3]), ([2, 1, 3], [5, 1]), ([], [0, 0])])
def test_others_part_evenly(pieces: list[int], sizes: list[int]) -> None:
    """Without state whole pieces are dealt out; only if they are too few are they taken apart."""
    graph, stage, transform = graph_with(beam.Map(lambda pair: pair), str)
    coder = graph.coder(stage.channel_coders[transform])
    encode = coder.get_impl().encode_nested
    numbers = iter(range(100))
    encoded = [
        b"".join(encode(GlobalWindows.windowed_value(("k", next(numbers)))) for _ in range(count))
        for count in pieces
    ]
    parts = partition(graph, stage, bundle_of(stage, transform, encoded, {}), 2)
    found = [
        [windowed.value[1] for windowed, _ in each(b"".join(inputs[transform]), coder)]
        for inputs, _ in parts
    ]
    assert [len(part) for part in found] == sizes
    assert sorted(found[0] + found[1]) == list(range(sum(pieces)))
