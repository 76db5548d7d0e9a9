"""When a window emits what it holds: the named choices.

Every choice fires when the watermark passes the end of the window and then once for every late
batch, until the allowed lateness is over: late rows are kept, as extra panes. Panes are
discarding, so that each row is in exactly one pane.
"""

from __future__ import annotations

from apache_beam.transforms.trigger import (
    AfterCount,
    AfterProcessingTime,
    AfterWatermark,
    TriggerFn,
)

from transforms.duration import parse_duration
from transforms.errors import ConfigError

__all__ = ["at_watermark", "early", "parse_trigger"]


def at_watermark() -> TriggerFn:
    """Fire when the watermark passes the end of the window; late batches as extra panes."""
    return AfterWatermark(late=AfterCount(1))


def early(every_s: float) -> TriggerFn:
    """Fire also before the watermark, ``every_s`` after the first batch that has not been emitted.

    Args:
        every_s: whole seconds of processing time, for Beam's protocol rounds others down; each
            firing costs an output pane per key.

    Raises:
        ConfigError: the time is not a positive, whole number of seconds.
    """
    if every_s < 1 or every_s != int(every_s):
        raise ConfigError(
            "trigger", every_s, "must be early by a whole number of seconds, at least 1",
            "Write for example early:10s",
        )  # fmt: skip
    return AfterWatermark(early=AfterProcessingTime(int(every_s)), late=AfterCount(1))


def parse_trigger(text: str) -> TriggerFn:
    """Read ``at_watermark`` or ``early:DURATION``.

    Raises:
        ConfigError: the text names no trigger.
    """
    name, _, every = text.partition(":")
    if text == "at_watermark":
        return at_watermark()
    if name == "early":
        return early(parse_duration(every, "trigger"))
    raise ConfigError(
        "trigger", text, "must be at_watermark or early:DURATION", "Write for example early:10s"
    )
