"""Which job a pipeline without end is: the same one at every restart on the same state.

What a job writes carries its id, so that whoever writes the same again replaces it. An id that
changed with a restart would leave a file twice; an id that a new job shared with an old one would
let it overwrite the old one's files. So whoever starts a job whose runner keeps its state gives an
id that is made by chance with the state, kept in it, and ends with it.
"""

from __future__ import annotations

import argparse
import logging
import secrets

import apache_beam as beam
from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions

__all__ = ["JobOptions", "launch_id"]

_log = logging.getLogger(__name__)


class JobOptions(PipelineOptions):
    """Carries the id of the job from the launcher to the transforms."""

    @classmethod
    def _add_argparse_args(cls, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--headrace_job", default=None, help=argparse.SUPPRESS)


def launch_id(pipeline: beam.Pipeline) -> str:
    """Return the id that the launcher gave, else one that no other launch has."""
    given: str | None = pipeline.options.view_as(JobOptions).headrace_job
    if given is not None:
        return given
    if pipeline.options.get_all_options().get("state_dir") is not None:
        _log.warning(
            "the state in --state_dir outlives this process, but the job has no id that does: "
            "a restart after a crash may write a file twice. Give --headrace_job=ID, a new one "
            "with each new state"
        )
    name = pipeline.options.view_as(GoogleCloudOptions).job_name or "job"
    return f"{name}-{secrets.token_hex(4)}"
