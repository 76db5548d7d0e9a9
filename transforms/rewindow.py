"""A ParDo that states the windowing of its output."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import apache_beam as beam
from apache_beam.transforms.core import Windowing
from apache_beam.transforms.trigger import AccumulationMode
from apache_beam.utils.windowed_value import WindowedValue

__all__ = ["InFirstWindow", "ParDoInto", "accumulating"]


class ParDoInto(beam.ParDo):
    """A ParDo whose output has the given windowing, where a plain one keeps that of its input.

    ``WindowInto`` would assign windows anew from each element's timestamp. Here the elements
    keep their windows, or the DoFn sets them by yielding a ``WindowedValue``.
    """

    def __init__(self, fn: beam.DoFn, windowing: Windowing) -> None:
        super().__init__(fn)
        self._windowing = windowing

    def get_windowing(self, inputs: Any) -> Windowing:  # noqa: ARG002 (Beam passes it by position)
        """Return the windowing of the output."""
        return self._windowing


class InFirstWindow(beam.DoFn):
    """Drop the copies that Beam makes of an element in several windows, as WindowInto would.

    Elements are pairs of a key and a windowed value, which holds all of its windows.
    """

    def process(
        self, element: tuple[Any, WindowedValue], window: Any = beam.DoFn.WindowParam
    ) -> Iterator[tuple[Any, WindowedValue]]:
        """Keep the element in the first of its windows."""
        if window == element[1].windows[0]:
            yield element


def accumulating(windowing: Windowing) -> Windowing:
    """Return the windowing with panes that each hold everything since the window began."""
    return Windowing(
        windowing.windowfn,
        windowing.triggerfn,
        AccumulationMode.ACCUMULATING,
        windowing.timestamp_combiner,
        windowing.allowed_lateness,
    )
