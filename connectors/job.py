"""Which job a pipeline without end is: the same one at every restart on the same state.

What a job writes carries its id, so that whoever writes the same again replaces it. An id that
changed with a restart would leave a file twice; an id that a new job shared with an old one would
let it overwrite the old one's files. So whoever starts a job whose runner keeps its state gives an
id that is made by chance with the state, kept in it, and ends with it.

On Dataflow the state goes on with an update, in a new job. The id that is made for a job stands in
its options, which the service tells; whoever updates it gives the part behind the name as the label
``headrace-job``.
"""

from __future__ import annotations

import argparse
import json
import logging
import secrets

import apache_beam as beam
from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions

__all__ = ["LABEL", "JobOptions", "launch_id"]

LABEL = "headrace-job"
"""Label of a job that goes on with the state of another one: the part of the id behind the name."""

_log = logging.getLogger(__name__)


class JobOptions(PipelineOptions):
    """Carries the id of the job from the launcher to the transforms."""

    @classmethod
    def _add_argparse_args(cls, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--headrace_job", default=None, help=argparse.SUPPRESS)


def launch_id(pipeline: beam.Pipeline) -> str:
    """Return the id that the launcher gave, else one that no other launch has.

    It is the same however often it is asked for, and stands in the options of the pipeline.
    """
    options = pipeline.options.view_as(JobOptions)  # of this pipeline alone: Beam copies them
    if options.headrace_job is None:
        options.headrace_job = _new_id(pipeline)
    return str(options.headrace_job)


def _new_id(pipeline: beam.Pipeline) -> str:
    if pipeline.options.get_all_options().get("state_dir") is not None:
        _log.warning(
            "the state in --state_dir outlives this process, but the job has no id that does: "
            "a restart after a crash may write a file twice. Give --headrace_job=ID, a new one "
            "with each new state"
        )
    cloud = pipeline.options.view_as(GoogleCloudOptions)
    found = _labels(cloud.labels or []).get(LABEL) or secrets.token_hex(4)
    return f"{cloud.job_name or 'job'}-{found}"


def _labels(texts: list[str]) -> dict[str, str]:
    """Return labels as Beam takes them: each ``key=value``, or several as JSON."""
    found: dict[str, str] = {}
    for text in texts:
        if text.startswith("{"):
            found |= json.loads(text)
        else:
            key, _, value = text.partition("=")
            found[key] = value
    return found
