"""Parameters in the forms that others read, whatever characters are in them."""

import json
import subprocess

import pytest
import yaml
from google.cloud import dataflow_v1beta3 as dataflow

from pipelines.params import ConfigError
from templates.catalogue import find
from templates.files.render import Launch, rendered

TEMPLATE = find("pubsub_to_pubsub")
TEXTS = {
    "where": 'attribute:kind = "a, b" AND x != "it\'s $HOME; #1: ünï"',
    "output_topic": "projects/p/topics/{attribute:kind}",
    "max_messages": "0012",
    "max_seconds": "5m",
}
LAUNCH = Launch("gs://b/templates/t.json", region="europe-west1")


def test_rest_body_is_what_google_takes() -> None:
    """Each key is one of a LaunchFlexTemplateRequest, and values arrive as they were."""
    text = rendered("rest", TEMPLATE, TEXTS, LAUNCH)
    body = dataflow.LaunchFlexTemplateRequest.from_json(text, ignore_unknown_fields=False)
    launched = body.launch_parameter
    assert dict(launched.parameters) == TEXTS
    assert launched.container_spec_gcs_path == "gs://b/templates/t.json"
    assert launched.job_name == "pubsub-to-pubsub"


def test_flags_file_keeps_every_text() -> None:
    """Numbers stay texts, and commas and quotes are safe."""
    found = yaml.safe_load(rendered("flags-file", TEMPLATE, TEXTS, LAUNCH))
    assert found == {
        "--template-file-gcs-location": "gs://b/templates/t.json",
        "--region": "europe-west1",
        "--parameters": TEXTS,
    }


def test_command_line_is_what_a_shell_reads() -> None:
    """A real shell hands over the same texts, whatever it would do with their characters."""
    command = rendered("argv", TEMPLATE, TEXTS, Launch())
    script = f"python() {{ printf '%s\\0' \"$@\"; }}\n{command}"
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    expected = [f"--{name}={text}" for name, text in TEXTS.items()]
    assert done.stdout.split("\0") == ["-m", "pipelines.pubsub_to_pubsub", *expected, ""]


@pytest.mark.parametrize("form", ["rest", "flags-file"])
@pytest.mark.parametrize("spec", [None, "t.json", "gs://bucket"])
def test_a_launch_needs_a_template(form: str, spec: str | None) -> None:
    """One that Dataflow could read."""
    with pytest.raises(ConfigError, match="--spec"):
        rendered(form, TEMPLATE, TEXTS, Launch(spec))


def test_a_name_that_dataflow_refuses_is_refused() -> None:
    """Before the request is sent."""
    with pytest.raises(ConfigError, match="--job_name='My_Job'"):
        rendered("rest", TEMPLATE, TEXTS, Launch("gs://b/t.json", "My_Job"))
    body = json.loads(rendered("rest", TEMPLATE, TEXTS, Launch("gs://b/t.json", "my-job")))
    assert body["launchParameter"]["jobName"] == "my-job"
