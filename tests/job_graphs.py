"""Job graphs as Beam makes them for Dataflow, without a launch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.dataflow.internal import apiclient

from templates.rehearsal.graph_checks import Expected
from templates.rehearsal.job_graph import JobGraph

__all__ = ["IMAGE", "JOB", "LABELS", "built", "expected"]

IMAGE = "europe-docker.pkg.dev/my-project/headrace/some:1"
JOB = {
    "runner": "DataflowRunner", "project": "my-project", "region": "europe-west1",
    "job_name": "some-job", "staging_location": "gs://my-bucket/s",
    "temp_location": "gs://my-bucket/t",
}  # fmt: skip
LABELS = {"template": "some"}
_QUICK = "--experiments=disable_logging_submission_environment"


def built(build: Callable[[beam.Pipeline], Any], *flags: str) -> JobGraph:
    """Return the job that Beam would send, with the graph that a function builds."""
    argv = [f"--{name}={value}" for name, value in JOB.items()]
    labels = [f"--labels={name}={value}" for name, value in LABELS.items()]
    image = f"--sdk_container_image={IMAGE}"
    # dry_run: Beam would look for the buckets and wait two minutes without a network.
    options = PipelineOptions([*argv, *labels, image, "--dry_run=True", _QUICK, *flags])
    pipeline = beam.Pipeline(options=options)
    build(pipeline)
    job = pipeline.run().job
    content = job.proto_pipeline.SerializeToString()
    job.proto.environment = apiclient.Environment(
        packages=[], options=job.options, environment_version="8",
        proto_pipeline_staged_url="gs://my-bucket/s/pipeline.pb",
        proto_pipeline=job.proto_pipeline,
        pipeline_proto_hash=hashlib.sha256(content).hexdigest(),
    ).proto  # fmt: skip
    text = job.json()
    return JobGraph(json.loads(text), len(text), job.proto_pipeline, content)


def expected(*, streaming: bool = False, **more: Any) -> Expected:
    """Return what a job of ``built`` should be."""
    told = {"streaming": streaming, "options": JOB, "labels": LABELS, "image": IMAGE, **more}
    return Expected(**told)
