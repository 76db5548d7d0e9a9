"""Requests of classic templates by Google's own client, and what the strict server refuses."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import dataflow_v1beta3 as api

from templates.catalogue import find
from templates.launch.dataflow import Target
from templates.rehearsal.classic import classic_metadata, create_body, launch_body, launch_url
from tests.dataflow_server import DataflowServer

pytestmark = pytest.mark.integration

PLACE = "gs://my-bucket/templates/classic"
TEMP = "gs://my-bucket/temp"
WHERE = {"project_id": "my-project", "location": "europe-west1"}


@pytest.fixture
def server() -> Iterator[DataflowServer]:
    """A server that has a classic template."""
    with DataflowServer().running() as found:
        found.jobs.classic[PLACE] = classic_metadata(find("pubsub_to_storage"))
        yield found


@pytest.fixture
def client(server: DataflowServer) -> Iterator[Any]:
    """Google's own."""
    found = api.TemplatesServiceClient(
        transport="rest", credentials=AnonymousCredentials(),
        client_options={"api_endpoint": server.url},
    )  # fmt: skip
    with found:
        yield found


def test_our_bodies_launch_jobs(server: DataflowServer, client: Any) -> None:
    """Of create and of launch; the messages take every field of them."""
    place = {"projectId": "my-project", "location": "europe-west1"}
    created = api.CreateJobFromTemplateRequest.from_json(
        json.dumps({**create_body("one", TEMP, PLACE), **place}), ignore_unknown_fields=False
    )
    assert client.create_job_from_template(created).name == "one"
    parameters = api.LaunchTemplateParameters.from_json(
        json.dumps(launch_body("two", TEMP)), ignore_unknown_fields=False
    )
    asked = api.LaunchTemplateRequest(**WHERE, gcs_path=PLACE, launch_parameters=parameters)
    assert client.launch_template(asked).job.name == "two"
    asked.validate_only = True
    asked.launch_parameters.job_name = "three"
    assert not client.launch_template(asked).job.id
    assert [job.name for job in server.jobs.kept] == ["one", "two"]
    assert all(job.is_streaming for job in server.jobs.kept)


def test_the_url_of_a_launch(server: DataflowServer) -> None:
    """As anybody would post to it."""
    url = launch_url("my-project", "europe-west1", PLACE)
    local = url.replace("https://dataflow.googleapis.com", server.url)
    answer = requests.post(local, json=launch_body("one", TEMP), timeout=10)
    assert answer.status_code == 200
    assert answer.json()["job"]["name"] == "one"


def test_a_template_tells_what_it_is(client: Any) -> None:
    """Its metadata has no parameters: all are fixed. One that is not there is told."""
    found = client.get_template(api.GetTemplateRequest(**WHERE, gcs_path=PLACE))
    assert found.metadata.streaming
    assert not found.metadata.parameters
    with pytest.raises(exceptions.NotFound, match="Unable to open template file: gs://b/none"):
        client.get_template(api.GetTemplateRequest(**WHERE, gcs_path="gs://b/none"))


@pytest.mark.parametrize(
    ("method", "path", "body", "said"),
    [
        ("POST", "flexTemplates:launch", {"launchParameter": {"envronment": {}}}, "envronment"),
        ("POST", "templates", {"gcsPath": PLACE, "environment": {"tempLoc": 1}}, "tempLoc"),
        ("POST", f"templates:launch?gcsPath={PLACE}", {"update": "maybe"}, "update"),
        ("GET", "jobs?filtre=ACTIVE", None, "filtre"),
        ("PUT", "jobs/1", {"requestedState": "JOB_STATE_GONE"}, "JOB_STATE_GONE"),
    ],
)
def test_the_server_refuses_what_the_api_does_not_have(
    server: DataflowServer, method: str, path: str, body: Any, said: str
) -> None:
    """Else tests with it would prove nothing about requests."""
    url = f"{Target('my-project', 'europe-west1', server.url).path}/{path}"
    answer = requests.request(method, url, json=body, timeout=10)
    assert answer.status_code == 400
    assert said in answer.json()["error"]["message"]


def test_there_is_no_other_method(server: DataflowServer) -> None:
    """A typing error in a path is found out."""
    url = f"{Target('my-project', 'europe-west1', server.url).path}/flexTemplate:launch"
    assert requests.post(url, json={}, timeout=10).status_code == 404
