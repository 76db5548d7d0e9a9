"""What the Flex launcher makes of an image's variables and of a template's environment."""

from __future__ import annotations

import http.client
import json

import pytest

from templates.catalogue import TEMPLATES, Template
from templates.derived.metadata import container_spec
from templates.rehearsal.flex_launcher import Launcher, command_line, environment_flags
from templates.rehearsal.metadata_server import metadata_server

TOKEN = "v1/instance/service-accounts/default/token"
LAUNCHER = Launcher("my-project", "europe-west1", "some", "staging-bucket", "id", {"a": "b"})


def test_variables_of_the_image_become_flags() -> None:
    """Before all others, as they are of the pipeline's own."""
    variables = {
        "FLEX_TEMPLATE_PYTHON_PY_FILE": "/template/some.py",
        "FLEX_TEMPLATE_PYTHON_SETUP_FILE": "/template/setup.py",
        "FLEX_TEMPLATE_PYTHON_REQUIREMENTS_FILE": "/template/requirements.txt",
    }
    _, file, *flags = command_line(LAUNCHER, variables, ["--window=1m"])
    assert file == "/template/some.py"
    assert flags[:3] == [
        "--requirements_file=/template/requirements.txt",
        "--setup_file=/template/setup.py",
        "--runner=DataflowRunner",
    ]
    assert flags[-1] == "--window=1m"


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda template: template.name)
def test_environment_of_a_template_becomes_flags(template: Template) -> None:
    """Image, and the engine of what streams; nothing in it is passed over."""
    environment = container_spec(template, "some/image:1")["defaultEnvironment"]
    engine = ["--enable_streaming_engine"] if template.streaming else []
    assert environment_flags(environment) == ("--sdk_container_image=some/image:1", *engine)
    labels = {"additionalUserLabels"}
    assert len(environment.keys() - labels) == len(environment_flags(environment))


def test_metadata_server_gives_a_token_that_opens_nothing() -> None:
    """And says that it is one, by which libraries know it."""
    with metadata_server("my-project") as address:
        connection = http.client.HTTPConnection(address, timeout=5)
        told = {}
        for path in (
            "",
            "v1/project/project-id",
            "v1/instance/service-accounts/default/token",
            "x",
        ):
            connection.request("GET", f"/computeMetadata/{path}".removesuffix("computeMetadata/"))
            answer = connection.getresponse()
            assert answer.headers["Metadata-Flavor"] == "Google"
            told[path] = (answer.status, answer.read().decode())
        connection.close()
    assert told[""] == (200, "computeMetadata/\n")
    assert told["v1/project/project-id"] == (200, "my-project")
    assert json.loads(told[TOKEN][1])["token_type"] == "Bearer"
    assert told["x"][0] == 404
