"""When a window emits what it holds: the named choices.

Those with a watermark fire when it passes the end of the window and then once for every late
batch, until the allowed lateness is over: late rows are kept, as extra panes. Panes are
discarding, so that each row is in exactly one pane.
"""

from __future__ import annotations

from apache_beam.portability.api import beam_runner_api_pb2
from apache_beam.transforms.trigger import (
    AfterCount,
    AfterProcessingTime,
    AfterWatermark,
    Repeatedly,
    TriggerFn,
)

from transforms.duration import parse_duration, whole_millis
from transforms.errors import ConfigError

__all__ = ["at_watermark", "early", "every", "parse_trigger"]


def at_watermark() -> TriggerFn:
    """Fire when the watermark passes the end of the window; late batches as extra panes."""
    return AfterWatermark(late=AfterCount(1))


def early(every_s: float) -> TriggerFn:
    """Fire also before the watermark, ``every_s`` after the first batch that has not been emitted.

    Args:
        every_s: processing time in seconds, whole milliseconds; each firing costs an output pane
            per key. Beam's own Python runners cut it to whole seconds.

    Raises:
        ConfigError: the time is not a positive, whole number of milliseconds.
    """
    return AfterWatermark(early=_After(every_s), late=AfterCount(1))


def every(every_s: float) -> TriggerFn:
    """Fire ``every_s`` after the first batch that was not emitted yet, again and again.

    Raises:
        ConfigError: the time is not a positive, whole number of milliseconds.
    """
    return Repeatedly(_After(every_s))


class _After(AfterProcessingTime):
    """Says its delay in milliseconds, as the protocol has it; Beam's class says whole seconds."""

    def __init__(self, delay_s: float) -> None:
        self._delay_ms = whole_millis("trigger", delay_s)
        super().__init__(self._delay_ms / 1_000)

    def __repr__(self) -> str:
        return f"AfterProcessingTime({self.delay})"

    def to_runner_api(self, context: object) -> beam_runner_api_pb2.Trigger:
        """Return the protocol's form; what is read from it is Beam's class."""
        del context
        delay = beam_runner_api_pb2.TimestampTransform.Delay(delay_millis=self._delay_ms)
        transform = beam_runner_api_pb2.TimestampTransform(delay=delay)
        return beam_runner_api_pb2.Trigger(
            after_processing_time=beam_runner_api_pb2.Trigger.AfterProcessingTime(
                timestamp_transforms=[transform]
            )
        )


def parse_trigger(text: str) -> TriggerFn:
    """Read ``at_watermark`` or ``early:DURATION``.

    Raises:
        ConfigError: the text names no trigger.
    """
    name, _, every = text.partition(":")
    if text == "at_watermark":
        return at_watermark()
    if name == "early":
        return early(parse_duration(every, "trigger", least_ms=1))
    raise ConfigError(
        "trigger", text, "must be at_watermark or early:DURATION", "Write for example early:10s"
    )
