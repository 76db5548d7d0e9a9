"""What pipelines take that publish at a pace: it is that of the whole job."""

from __future__ import annotations

from dataclasses import dataclass

import apache_beam as beam
from apache_beam.runners.dataflow.dataflow_runner import DataflowRunner

from connectors import pubsub
from pipelines import kinds
from pipelines.params import Group, param
from transforms.errors import ConfigError

__all__ = ["Paced"]

_WORKERS = ("workers", "direct_num_workers")
"""Options of how many processes there are."""


@dataclass(frozen=True, kw_only=True)
class Paced(Group):
    """A number of messages a second."""

    rate: float | None = param(
        kinds.MULTIPLE,
        "Messages a second, of the whole job; by default as fast as possible.",
        example="1000",
        required=False,
        group="Output",
    )

    def pace(self) -> pubsub.Pace | None:
        """Return how fast messages go out; None for as fast as they can."""
        return None if self.rate is None else pubsub.Rate(self.rate)

    def paced(self, pipeline: beam.Pipeline) -> pubsub.Paced:
        """Return the step that holds messages back.

        Raises:
            ConfigError: the job has several processes, each of which would keep a pace of its own.
        """
        for name in ("rate", "speed"):
            if getattr(self, name, None) is not None:
                _require_one_process(f"--{name}", getattr(self, name), pipeline)
        return pubsub.Paced(self.pace())


def _require_one_process(flag: str, value: float, pipeline: beam.Pipeline) -> None:
    options = pipeline.options.get_all_options()
    given = [name for name in _WORKERS if str(options.get(name) or 1) != "1"]
    if given or isinstance(pipeline.runner, DataflowRunner):
        where = f"--{given[0]}={options[given[0]]}" if given else "Dataflow"
        raise ConfigError(
            flag, value, f"is the pace of one process, and with {where} there are several",
            f"Run it in one process on this machine, or without {flag}",
        )  # fmt: skip
