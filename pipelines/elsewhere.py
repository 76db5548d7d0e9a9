"""A job on any other runner, such as Dataflow's: Beam starts it, and the runner commits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import (
    GoogleCloudOptions,
    PipelineOptions,
    StandardOptions,
)

from pipelines.preflight import require_storage
from transforms.errors import ConfigError

__all__ = ["run_elsewhere"]


def run_elsewhere(build: Callable[[beam.Pipeline], Any], options: PipelineOptions) -> None:
    """Build a graph, give it to the runner that the options name, and wait for the job's end.

    Raises:
        ConfigError: Beam knows no such runner, or lacks an option for it.
        TransientError: Cloud Storage does not answer, where Dataflow takes the graph from.
    """
    runner = options.view_as(StandardOptions).runner
    if runner.lower() == "dataflowrunner":
        # Beam looks for its buckets, and is silent for two minutes if it can't.
        require_storage(f"--runner={runner}")
    try:
        pipeline = beam.Pipeline(options=options)
    except (ValueError, AttributeError) as error:  # what Beam raises for a name or option it lacks
        raise ConfigError("--runner", runner, *_about(error)) from error
    build(pipeline)
    result = pipeline.run()
    if options.view_as(GoogleCloudOptions).template_location is None:  # else there is no job yet
        result.wait_until_finish()


def _about(error: Exception) -> tuple[str, str]:
    """Return rule and fix: Beam lists all of its runners, of which most are no help here."""
    text = str(error).strip()
    if text.startswith("Unexpected pipeline runner"):
        fix = (
            "Leave it out to drain what there is; or give local, which goes on without end and "
            "needs --state_dir, DataflowRunner, or another of Beam"
        )
        return "is no runner that is known", fix
    return text.rstrip("."), "Give the runner and its options as Beam asks"
