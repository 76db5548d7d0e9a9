"""Elements that wait for side inputs on the local runner."""

from collections.abc import Iterable
from unittest import mock

import apache_beam as beam
import pytest
from apache_beam import coders
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing.test_pipeline import TestPipeline as Pipeline
from apache_beam.testing.test_stream import TestStream as Stream
from apache_beam.transforms.window import FixedWindows, TimestampedValue

from runners.local import LocalRunner, intake, pending
from runners.local.store import Store

WINDOW_S = 10
SEEN: list[tuple[int, list[int]]] = []


def note(main: int, side: Iterable[int]) -> int:
    """Remember what was processed with what: in this process, in this order."""
    SEEN.append((main, sorted(side)))
    return main


def join(stream: Stream) -> list[tuple[int, list[int]]]:
    """Return the main elements, as they were processed, with their side inputs."""
    SEEN.clear()
    with Pipeline(runner=LocalRunner(), options=PipelineOptions(["--streaming"])) as p:
        outputs = p | stream
        side = outputs["side"] | "Side" >> beam.WindowInto(FixedWindows(WINDOW_S))
        main = outputs["main"] | "Main" >> beam.WindowInto(FixedWindows(WINDOW_S))
        _ = main | beam.Map(note, side=beam.pvalue.AsList(side))
    return list(SEEN)


def stream_of() -> Stream:
    stream = Stream(coder=coders.VarIntCoder(), output_tags={"main", "side"})
    for tag in ("main", "side"):
        stream.advance_watermark_to(0, tag=tag)
    return stream


def at(window: int, number: int) -> list[TimestampedValue]:
    return [TimestampedValue(number, window * WINDOW_S)]


def test_waiting_elements_are_read_when_they_can_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """However often a side input gets something, what waits for its end is read once."""
    monkeypatch.setattr(pending, "MEMORY_BYTES_MAX", 0)
    windows, times = 10, 5
    stream = stream_of()
    for window in range(windows):
        stream.add_elements(at(window, window), tag="main")
    for window in range(windows):
        for number in range(times):
            stream.add_elements(at(window, number), tag="side")
        stream.advance_watermark_to((window + 1) * WINDOW_S, tag="side")
    stream.advance_watermark_to_infinity(tag="main").advance_watermark_to_infinity(tag="side")
    with mock.patch.object(
        Store, "chunk_data", autospec=True, side_effect=Store.chunk_data
    ) as read:
        assert join(stream) == [(window, list(range(times))) for window in range(windows)]
    assert read.call_count <= windows


def test_waiting_elements_do_not_block_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those whose side input is complete go, though others before them fill a bundle."""
    monkeypatch.setattr(intake, "BUNDLE_BYTES_MAX", 1)
    stream = stream_of()
    for window in (2, 1, 0):
        stream.add_elements(at(window, window), tag="main")
    for window in range(3):
        stream.add_elements(at(window, 7), tag="side")
        stream.advance_watermark_to((window + 1) * WINDOW_S, tag="side")
    stream.advance_watermark_to_infinity(tag="main").advance_watermark_to_infinity(tag="side")
    assert join(stream) == [(window, [7]) for window in range(3)]
