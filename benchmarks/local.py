"""A pipeline on the local runner, as its launcher would set it up."""

from __future__ import annotations

from pathlib import Path

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from runners.local import LocalRunner

__all__ = ["local_pipeline"]


def local_pipeline(state_dir: Path | None, workers: int = 1) -> beam.Pipeline:
    """Return an empty pipeline.

    Args:
        state_dir: folder of the durable state; None keeps nothing.
        workers: processes for user code; 1 is this process.
    """
    # No flags: Beam would read this process's command line for them.
    options = PipelineOptions(
        [],
        job_name="benchmark",
        headrace_job="benchmark",
        state_dir=None if state_dir is None else str(state_dir),
        workers=workers,
    )
    return beam.Pipeline(runner=LocalRunner(), options=options)
