"""Delays of triggers as a pipeline gives them: in milliseconds, which Beam's classes cut off."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from apache_beam.transforms.trigger import TriggerFn

__all__ = ["restore_delays"]

_MILLIS = 1_000


def restore_delays(trigger: TriggerFn, proto: Any) -> None:
    """Set the delays of a trigger, and of those that it is made of, to what its proto says.

    Args:
        trigger: read from the proto by Beam; it is changed.
        proto: a ``beam_runner_api_pb2.Trigger``.
    """
    kind = proto.WhichOneof("trigger")
    if kind is None:
        return
    if kind == "after_processing_time":
        transforms = proto.after_processing_time.timestamp_transforms
        trigger.delay = sum(each.delay.delay_millis for each in transforms) / _MILLIS
    for part, part_proto in _parts(trigger, kind, getattr(proto, kind)):
        restore_delays(part, part_proto)


def _parts(trigger: Any, kind: str, proto: Any) -> Iterable[tuple[TriggerFn, Any]]:
    """Return the triggers that one is made of, each with its proto."""
    if kind in ("after_all", "after_any", "after_each"):
        return list(zip(trigger.triggers, proto.subtriggers, strict=True))
    if kind == "repeat":
        return [(trigger.underlying, proto.subtrigger)]
    if kind == "or_finally":
        return list(zip(trigger.triggers, (proto.main, getattr(proto, "finally")), strict=True))
    if kind == "after_end_of_window":
        # Beam repeats both, and leaves that out of the proto.
        given = ((trigger.early, proto.early_firings), (trigger.late, proto.late_firings))
        return [(part.underlying, part_proto) for part, part_proto in given if part]
    return ()
