"""Google's command line reads our flags files, where it is installed."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from templates.catalogue import find
from templates.files.render import Launch, flags_file, rest_body
from tests.dataflow_server import DataflowServer

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(not shutil.which("gcloud"), reason="gcloud is not installed"),
]

TEXTS = {
    "where": 'attribute:kind = "a, b" AND x != "it\'s $HOME; #1: ünï"',
    "subscription": "projects/my-project/subscriptions/flights",
    "dead_letter": "projects/my-project/topics/dead",
    "output_topic": "projects/p/topics/{attribute:kind}",
    "max_messages": "12",
}
LAUNCH = Launch("gs://b/templates/t.json", "my-job", "europe-west1")


@pytest.fixture
def dataflow() -> Iterator[DataflowServer]:
    """A server that has the template."""
    with DataflowServer().running() as server:
        server.jobs.add_template("pubsub_to_pubsub", str(LAUNCH.spec))
        yield server


def test_gcloud_sends_what_we_would(dataflow: DataflowServer, tmp_path: Path) -> None:
    """From the flags file: the same job, template and texts as in our REST body."""
    flags = tmp_path / "flags.yaml"
    flags.write_text(flags_file(TEXTS, LAUNCH))
    environment = os.environ | {
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_DATAFLOW": f"{dataflow.url}/",
        "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "true",
        "CLOUDSDK_CONFIG": str(tmp_path / "gcloud"),
        "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
        "CLOUDSDK_CORE_PROJECT": "p",
    }
    command = ["gcloud", "dataflow", "flex-template", "run", "my-job", f"--flags-file={flags}"]
    done = subprocess.run(
        command, capture_output=True, text=True, env=environment, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    [request] = dataflow.requests
    assert request.path == "/v1b3/projects/p/locations/europe-west1/flexTemplates:launch"
    ours = rest_body(find("pubsub_to_pubsub"), TEXTS, LAUNCH)["launchParameter"]
    sent = request.body["launchParameter"]
    assert {name: sent[name] for name in ours} == ours
    assert [job.name for job in dataflow.jobs.kept] == ["my-job"]
