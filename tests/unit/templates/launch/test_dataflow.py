"""Where Dataflow is, and the pages of its jobs."""

import sys

import google.cloud
import pytest

from pipelines.params import ConfigError
from templates.launch.dataflow import ENDPOINT, Dataflow, Target, endpoint


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("", "https://dataflow.googleapis.com"),
        ("http://127.0.0.1:80/", "http://127.0.0.1:80"),
        ("https://dataflow-mine.p.googleapis.com", "https://dataflow-mine.p.googleapis.com"),
    ],
)
def test_the_endpoint_of_the_environment(given: str, found: str) -> None:
    """As gcloud reads it, with or without / at its end; Google's own if it is empty."""
    assert endpoint({ENDPOINT: given}) == found
    assert endpoint({}) == "https://dataflow.googleapis.com"


def test_an_endpoint_needs_a_scheme() -> None:
    """It says whether credentials are sent."""
    with pytest.raises(ConfigError, match="must begin with http:// or https://"):
        endpoint({ENDPOINT: "127.0.0.1:80"})


def test_urls() -> None:
    """Of the method, and of a job for people."""
    target = Target("my-project", "europe-west1")
    assert target.launch_url == (
        "https://dataflow.googleapis.com/v1b3/projects/my-project/locations/europe-west1/"
        "flexTemplates:launch"
    )
    assert target.console_url("a-1") == (
        "https://console.cloud.google.com/dataflow/jobs/europe-west1/a-1?project=my-project"
    )


def test_the_client_may_not_be_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is of an extra; --dry_run does without it."""
    monkeypatch.delattr(google.cloud, "dataflow_v1beta3", raising=False)
    monkeypatch.setitem(sys.modules, "google.cloud.dataflow_v1beta3", None)
    with pytest.raises(ConfigError, match="pip install google-cloud-dataflow-client"):
        Dataflow(Target("my-project", "europe-west1"))
