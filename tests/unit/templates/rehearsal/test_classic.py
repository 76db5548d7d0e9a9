"""Classic templates: what is refused before anything is built, and how jobs are started."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest
from google.cloud import dataflow_v1beta3 as api

from templates.catalogue import TEMPLATES, Template, find
from templates.rehearsal.classic import (
    ClassicTemplate,
    classic_metadata,
    create_body,
    launch_body,
    launch_url,
)
from templates.rehearsal.job_graph import Objects
from transforms.errors import ConfigError

WANTED = ClassicTemplate(
    template=find("pubsub_to_pubsub"),
    texts={},
    location="gs://my-bucket/templates/x",
    project="my-project",
    region="europe-west1",
    image="some/image:1",
)


@pytest.mark.parametrize(
    ("change", "flag", "rule"),
    [
        ({"location": "./here"}, "--template_location", "must be an object gs://BUCKET/OBJECT"),
        ({"location": "gs://bucket"}, "--template_location", "must be an object"),
        ({"temp": "./here"}, "--temp_location", "must be a folder gs://BUCKET/FOLDER"),
        ({"staging": "here"}, "--staging_location", "must be a folder gs://BUCKET/FOLDER"),
        ({"image": None}, "--image", "or --setup_file is needed: workers must have the code"),
        ({"image": ""}, "--image", "or --setup_file is needed"),
    ],
)
def test_place_that_is_none_is_refused(change: dict[str, Any], flag: str, rule: str) -> None:
    """With the flag, the rule and a fix, before anything is built."""
    with pytest.raises(ConfigError) as caught:
        dataclasses.replace(WANTED, **change).build(Objects(None))
    assert caught.value.name == flag
    assert caught.value.rule.startswith(rule)
    assert caught.value.fix


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda template: template.name)
def test_metadata_has_no_parameters(template: Template) -> None:
    """All are fixed; the rest is as of the Flex template, in messages of the service."""
    found = api.TemplateMetadata.from_json(json.dumps(classic_metadata(template)))
    assert (found.name, list(found.parameters)) == (template.title, [])
    assert found.streaming == template.streaming


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (launch_body("some-job", "gs://my-bucket/temp"), api.LaunchTemplateParameters),
        (
            create_body("some-job", "gs://my-bucket/temp", "gs://my-bucket/templates/x"),
            api.CreateJobFromTemplateRequest,
        ),
    ],
)
def test_body_of_a_launch_is_one_of_the_service(body: dict[str, Any], message: Any) -> None:
    """Every field is one that Google's client knows."""
    sent = message.from_json(json.dumps(body), ignore_unknown_fields=False)
    assert (sent.job_name, dict(sent.parameters)) == ("some-job", {})
    assert sent.environment.temp_location == "gs://my-bucket/temp"


def test_url_names_the_template() -> None:
    """As the only thing that is not in the body."""
    assert launch_url("my-project", "europe-west1", "gs://b/t/x").endswith(
        "/v1b3/projects/my-project/locations/europe-west1/templates:launch?gcsPath=gs%3A%2F%2Fb%2Ft%2Fx"
    )
