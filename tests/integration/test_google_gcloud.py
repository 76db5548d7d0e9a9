"""What gcloud makes of a script or a file of flags is what we read there, if it is installed."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from templates.catalogue import find
from templates.google.environment import launch_flags
from templates.google.job import Job
from templates.google.read import read
from tests.dataflow_server import DataflowServer

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(not shutil.which("gcloud"), reason="gcloud is not installed"),
]

SPEC = "gs://dataflow-templates-europe-west1/latest/flex/PubSub_to_BigQuery_Flex"
FLAGS = f"""
--template-file-gcs-location: {SPEC}
--region: europe-west1
--max-workers: 5
--worker-machine-type: n2-standard-4
--additional-experiments: [streaming_mode_at_least_once, a=b]
--additional-user-labels: team=data
--disable-public-ips: true
--enable-streaming-engine: true
--parameters:
  outputTableSpec: p:d.t
  javascriptTextTransformFunctionName: "it's, \\"so\\" = ünï 😀"
  useStorageWriteApi: "true"
  numStorageWriteApiStreams: "3"
"""
SCRIPT = f"""#!/bin/sh
export TABLE="p:d.t"  # of the output
gcloud dataflow flex-template run my-job --region=europe-west1 \\
  --template-file-gcs-location "{SPEC}" --temp-location gs://b/t --num-workers 2 \\
  --parameters '^~^inputTopic=a,b=c~outputTableSpec='"$TABLE" \\
  --parameters useStorageWriteApi=true,numStorageWriteApiStreams=3 \\
  --parameters "^:::^javascriptTextTransformFunctionName=it's \\"so\\", 'ünï'" \\
  --additional-experiments=a=b,c
"""


@pytest.fixture
def dataflow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DataflowServer]:
    """A server that gcloud talks to; it keeps what it is asked, also for unknown templates."""
    with DataflowServer().running() as server:
        for name, value in (
            ("CLOUDSDK_API_ENDPOINT_OVERRIDES_DATAFLOW", f"{server.url}/"),
            ("CLOUDSDK_AUTH_DISABLE_CREDENTIALS", "true"),
            ("CLOUDSDK_CONFIG", str(tmp_path / "gcloud")),
            ("CLOUDSDK_CORE_DISABLE_PROMPTS", "1"),
            ("CLOUDSDK_CORE_PROJECT", "p"),
        ):
            monkeypatch.setenv(name, value)
        yield server


def sent(dataflow: DataflowServer, folder: Path, *command: str) -> Job:
    """Return the job of the body that a command sends."""
    done = subprocess.run(
        command, capture_output=True, text=True, env=os.environ, timeout=120, check=False
    )
    assert dataflow.requests, done.stderr
    body = folder / "body.json"
    body.write_text(json.dumps(dataflow.requests[0].body))
    return read(body)


def known(job: Job) -> tuple[dict[str, str], list[str]]:
    """Return what is imported: parameters, and flags of workers in any order."""
    job.project = job.region = job.name = None
    flags, _ = launch_flags(job, find("pubsub_to_bigquery"))
    given = {name: str(each.value) for name, each in job.parameters.items()}
    return given, sorted(flags)


@pytest.mark.parametrize("form", ["flags", "script"])
def test_files_mean_what_gcloud_sends(dataflow: DataflowServer, tmp_path: Path, form: str) -> None:
    """Delimiters, quotes, variables and repeated flags; the body is read as the same job."""
    if form == "script":
        path = tmp_path / "job.sh"
        path.write_text(SCRIPT)
        body = sent(dataflow, tmp_path, "/bin/sh", str(path))
    else:
        path = tmp_path / "flags.yaml"
        path.write_text(FLAGS)
        run = ("gcloud", "dataflow", "flex-template", "run", "my-job", f"--flags-file={path}")
        body = sent(dataflow, tmp_path, *run)
    ours = read(path)
    assert ours.template is not None
    assert body.template is not None
    assert ours.template.value == body.template.value == SPEC
    assert known(ours) == known(body)
