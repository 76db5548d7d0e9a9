"""The guard against endless replay: messages carry how often they were replayed. Pure."""

from __future__ import annotations

from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from transforms.attributes import appended, without
from transforms.batch import Batch
from transforms.field import attribute
from transforms.message import ATTRIBUTES

__all__ = ["REPLAYS", "Guarded", "guard"]

REPLAYS = "headrace_replays"
"""Attribute that counts the replays of a message."""

_NUMBER = r"^[0-9]{1,9}$"


class Guarded(NamedTuple):
    """Every failure is in exactly one of the two."""

    ok: Batch
    """Failures whose message may be replayed; its attribute counts this replay already."""
    refused: Batch
    """Failures that were replayed often enough, as they came."""


def guard(failures: Batch, replays_max: int) -> Guarded:
    """Count one replay more, and hold back what has had its number.

    A message comes back as often as the fault that rejected it is not mended. A counter that is
    no number was not written here: the message is held back.
    """
    text = pc.fill_null(attribute(REPLAYS).of(failures), "0")
    usable = pc.match_substring_regex(text, _NUMBER)
    counts = pc.if_else(usable, text, str(replays_max)).cast(pa.int64())
    may = pc.less(counts, replays_max)
    chosen = failures.filter(may)
    counted = pc.add(counts.filter(may), 1).cast(pa.string())
    others = without(chosen.column(ATTRIBUTES), [REPLAYS])
    ok = chosen.with_column(ATTRIBUTES, appended(others, {REPLAYS: counted}))
    return Guarded(ok, failures.filter(pc.invert(may)))
