"""The container spec as a file: where it may be, and what is in it."""

import json
from pathlib import Path

import pytest
from google.cloud import dataflow_v1beta3 as dataflow

from templates.catalogue import TEMPLATES, Template, find
from templates.image.spec_file import require_spec_place, spec_place, spec_text, write_spec
from transforms.errors import ConfigError

LAKE = find("pubsub_to_lake")
IMAGE = "europe-west1-docker.pkg.dev/my-project/headrace/pubsub-to-lake:0.1.0"


def test_places() -> None:
    """An object, or a file on this machine."""
    assert spec_place("gs://b-1/templates/{name}.json", LAKE) == (
        "gs://b-1/templates/pubsub_to_lake.json"
    )
    assert spec_place("specs/{name}.json", LAKE) == str(Path.cwd() / "specs/pubsub_to_lake.json")


@pytest.mark.parametrize(
    "text",
    [
        "gs://bucket", "gs://bucket/", "gs://bucket/templates/", "gs://bucket/spec.yaml",
        "gs:///spec.json", "gs://Bucket/spec.json", "s3://bucket/spec.json", "spec", "",
        "https://storage.googleapis.com/bucket/spec.json",
    ],
)  # fmt: skip
def test_places_that_are_refused(text: str) -> None:
    """Nothing could be launched from there."""
    with pytest.raises(ConfigError, match=r"must be gs://BUCKET/OBJECT\.json"):
        spec_place(text, LAKE)


def test_several_specs_need_several_places() -> None:
    """One of them would stand there in the end."""
    require_spec_place("gs://bucket/{name}.json", TEMPLATES)
    require_spec_place("gs://bucket/lake.json", (LAKE,))
    with pytest.raises(ConfigError, match=r"must have \{name\} in it"):
        require_spec_place("gs://bucket/lake.json", TEMPLATES)


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda each: each.name)
def test_spec_is_dataflows_with_what_gcloud_drops(template: Template, tmp_path: Path) -> None:
    """Streaming, its modes, and the image of the workers."""
    place = tmp_path / "folder" / "spec.json"
    write_spec(str(place), spec_text(template, IMAGE))
    read = dataflow.ContainerSpec.from_json(place.read_text(), ignore_unknown_fields=False)
    assert read.image == read.default_environment.sdk_container_image == IMAGE
    assert read.metadata.streaming is template.streaming
    assert read.metadata.supports_at_least_once is (template.streaming and template.at_least_once)
    assert read.metadata.supports_exactly_once is template.streaming
    assert len(read.metadata.parameters) == len(template.parameters)


def test_a_spec_is_replaced(tmp_path: Path) -> None:
    """By the next build."""
    place = str(tmp_path / "spec.json")
    write_spec(place, spec_text(LAKE, IMAGE))
    write_spec(place, spec_text(LAKE, IMAGE.replace("0.1.0", "0.2.0")))
    assert json.loads(Path(place).read_text())["image"].endswith(":0.2.0")
    assert [path.name for path in tmp_path.iterdir()] == ["spec.json"]
