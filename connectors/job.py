"""Which job a pipeline without end is: the same one at every restart on the same state.

What a job writes carries its name, so that whoever writes the same again replaces it. A name that
changed with a restart would leave a file twice; a name that a new job shared with an old one would
let it overwrite the old one's files. So the id is random, made with the state and kept beside it.
"""

from __future__ import annotations

import argparse
import os
import posixpath
import secrets

import apache_beam as beam
from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions

from connectors.store import LocalStore

__all__ = ["JobOptions", "job_id", "launch_id", "remembered"]

FILE = "headrace-job"
"""Name of the file in a job's state folder that holds its id."""


class JobOptions(PipelineOptions):
    """Carries the id of the job from the launcher to the transforms."""

    @classmethod
    def _add_argparse_args(cls, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--headrace_job", default=None, help=argparse.SUPPRESS)


def job_id(pipeline: beam.Pipeline) -> str | None:
    """Return the id that the launcher gave, None if there is none that outlasts this launch."""
    return pipeline.options.view_as(JobOptions).headrace_job


def launch_id(pipeline: beam.Pipeline) -> str:
    """Return the id that the launcher gave, else one that no other launch has."""
    name = pipeline.options.view_as(GoogleCloudOptions).job_name or "job"
    return job_id(pipeline) or f"{name}-{secrets.token_hex(4)}"


def remembered(folder: str, name: str = "job") -> str:
    """Return the id of the job whose state is in a folder; make one at the first time, durably.

    Args:
        folder: of the state, of this job alone; it is created if need be.
        name: for people: a new id begins with it.

    Raises:
        OSError: the folder can't be written.
    """
    store = LocalStore()
    folder = os.path.abspath(folder)
    path = posixpath.join(folder, FILE)
    if not store.exists(path):
        store.make_folder(folder)
        store.write(path, f"{name}-{secrets.token_hex(4)}".encode())
    return store.read(path).decode()
