"""Google's command line reads our flags files, where it is installed."""

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from templates.catalogue import find
from templates.render import Launch, flags_file, rest_body

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(not shutil.which("gcloud"), reason="gcloud is not installed"),
]

TEXTS = {
    "where": 'attribute:kind = "a, b" AND x != "it\'s $HOME; #1: ünï"',
    "output_topic": "projects/p/topics/{attribute:kind}",
    "max_messages": "12",
    "dry_run": "true",
}
LAUNCH = Launch("gs://b/templates/t.json", "my-job", "europe-west1")


class Dataflow(HTTPServer):
    """Answers a launch and keeps what was asked."""

    requests: list[tuple[str, Any]]


class Handler(BaseHTTPRequestHandler):
    """One launch."""

    server: Dataflow

    def do_POST(self) -> None:
        """Keep path and body; answer with a job."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.requests.append((self.path, json.loads(body)))
        job = {"id": "1", "name": "my-job", "projectId": "p", "location": "europe-west1"}
        answer = json.dumps({"job": job}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        """Say nothing."""


@pytest.fixture
def dataflow() -> Iterator[Dataflow]:
    """A server on a port of its own."""
    with Dataflow(("127.0.0.1", 0), Handler) as server:
        server.requests = []
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_gcloud_sends_what_we_would(dataflow: Dataflow, tmp_path: Path) -> None:
    """From the flags file: the same job, template and texts as in our REST body."""
    flags = tmp_path / "flags.yaml"
    flags.write_text(flags_file(TEXTS, LAUNCH))
    environment = os.environ | {
        "CLOUDSDK_API_ENDPOINT_OVERRIDES_DATAFLOW": f"http://127.0.0.1:{dataflow.server_port}/",
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
    [(path, body)] = dataflow.requests
    assert path.startswith("/v1b3/projects/p/locations/europe-west1/flexTemplates:launch")
    ours = rest_body(find("pubsub_to_pubsub"), TEXTS, LAUNCH)["launchParameter"]
    sent = body["launchParameter"]
    assert {name: sent[name] for name in ours} == ours
