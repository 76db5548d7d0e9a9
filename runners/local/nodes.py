"""What a graph is made of: stages, groupings and test streams, with what they read and write."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from apache_beam.coders import WindowedValueCoder
from apache_beam.transforms.core import Windowing

__all__ = ["GroupNode", "Port", "SideInput", "StageNode", "StreamNode", "TimerSpec"]


@dataclass(frozen=True)
class Port:
    """Where a stage takes elements in: one transform that reads one buffer.

    Attributes:
        name: the same after a restart, and after changes elsewhere in the pipeline.
        transform: the reading transform within the stage.
        buffer: what it reads.
        stable: elements are committed before they are taken.
    """

    name: str
    transform: str
    buffer: bytes
    stable: bool


@dataclass(frozen=True)
class SideInput:
    """A side input of a step: where its elements come from and how they are looked up.

    ``mapping`` leads from a window of the main input to one of the side input; ``lateness_us`` is
    the allowed lateness of the main input.
    """

    transform: str
    tag: str
    buffer: bytes
    access: str
    mapping: Any
    windowing: Windowing
    coder: WindowedValueCoder
    lateness_us: int


@dataclass(frozen=True)
class TimerSpec:
    """A timer family of a step."""

    transform: str
    family: str
    domain: int
    coder_id: str


@dataclass
class StageNode:
    """Fused steps that run as one bundle in an SDK harness."""

    name: str
    environment: str
    transforms: list[Any]
    ports: dict[str, Port] = field(default_factory=dict)
    outputs: dict[str, bytes] = field(default_factory=dict)
    timers: list[TimerSpec] = field(default_factory=list)
    stateful: list[str] = field(default_factory=list)
    side_inputs: list[SideInput] = field(default_factory=list)
    splittable: bool = False
    channel_coders: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class GroupNode:
    """A GroupByKey.

    Attributes:
        name: of the step.
        buffer: its input, and its panes.
        port: the only one at which panes wait: a large one is used up by who reads it.
        windowing: with the real window function.
        input_coder: of windowed pairs.
        output_coder: of windowed pairs of a key and its values.
        value_coder: of a value, as it is encoded for bundles.
        bounded: the input ends by itself.
    """

    name: str
    buffer: bytes
    port: Port
    windowing: Windowing
    input_coder: WindowedValueCoder
    output_coder: WindowedValueCoder
    value_coder: Any
    bounded: bool


@dataclass(frozen=True)
class StreamNode:
    """A TestStream; ``buffers`` by output tag."""

    name: str
    payload: Any
    element_coder: Any
    buffers: Mapping[str, bytes]
    coders: Mapping[str, Any]
