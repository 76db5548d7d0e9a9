"""Metadata and container specs are what Dataflow's API takes, and say all that we know."""

import json

import pytest
from google.cloud import dataflow_v1beta3 as dataflow

from templates.catalogue import TEMPLATES, Template, find
from templates.derived.metadata import container_spec, metadata
from templates.derived.parameter import parameter_type

all_templates = pytest.mark.parametrize("template", TEMPLATES, ids=lambda each: each.name)


def parameter(template: str, name: str) -> dict:
    return next(each for each in metadata(find(template))["parameters"] if each["name"] == name)


@all_templates
def test_google_reads_every_key(template: Template) -> None:
    """The container spec is a ContainerSpec of Google's own client, to the last field."""
    spec = container_spec(template, "europe-docker.pkg.dev/p/r/{name}:1")
    read = dataflow.ContainerSpec.from_json(json.dumps(spec), ignore_unknown_fields=False)
    assert read.image == f"europe-docker.pkg.dev/p/r/{template.name.replace('_', '-')}:1"
    assert [each.name for each in read.metadata.parameters] == [
        spec.name for spec in template.parameters
    ]
    assert read.metadata.streaming is template.streaming
    assert read.sdk_info.language == dataflow.SDKInfo.Language.PYTHON


@all_templates
def test_a_key_that_google_does_not_know_is_found(template: Template) -> None:
    """The comparison above can fail."""
    spec = container_spec(template)
    spec["metadata"]["parameters"][0]["tooltip"] = "x"
    with pytest.raises(Exception, match="tooltip"):
        dataflow.ContainerSpec.from_json(json.dumps(spec), ignore_unknown_fields=False)


@all_templates
def test_types_are_dataflows(template: Template) -> None:
    """Each parameter has one of the 23 types, and what a console shows about it."""
    known = {each.name for each in dataflow.ParameterType}
    for one in metadata(template)["parameters"]:
        assert one["paramType"] in known
        assert one["label"]
        assert one["helpText"]
        assert all(isinstance(value, str) for value in one["customMetadata"].values())
        if one["paramType"] == "ENUM":
            assert one["enumOptions"]


@pytest.mark.parametrize(
    ("template", "name", "expected"),
    [
        ("pubsub_to_lake", "subscription", "PUBSUB_SUBSCRIPTION"),
        ("pubsub_to_lake", "topic", "PUBSUB_TOPIC"),
        ("pubsub_to_lake", "output", "GCS_WRITE_FOLDER"),
        ("archive_replay", "archive", "GCS_READ_FOLDER"),
        ("pubsub_to_lake", "add_columns", "BOOLEAN"),
        ("pubsub_to_lake", "shards", "NUMBER"),
        ("archive_replay", "speed", "NUMBER"),
        ("pubsub_to_lake", "table_format", "ENUM"),
        ("pubsub_to_lake", "window", "TEXT"),
        ("pubsub_to_pubsub", "output_topic", "TEXT"),
    ],
)
def test_kinds_have_their_types(template: str, name: str, expected: str) -> None:
    """A console offers topics, folders and choices where we take nothing else."""
    spec = next(spec for spec in find(template).parameters if spec.name == name)
    assert parameter_type(spec.kind) == expected


def test_what_can_be_chosen_depends_on_its_parent() -> None:
    """A rule between parameters steers the display where the service knows how."""
    catalog = parameter("pubsub_to_lake", "catalog")
    assert (catalog["parentName"], catalog["parentTriggerValues"]) == ("table_format", ["iceberg"])
    options = parameter("pubsub_to_lake", "table_format")["enumOptions"]
    assert [each["value"] for each in options] == ["parquet", "delta", "iceberg"]
    assert parameter("pubsub_to_lake", "table_format")["defaultValue"] == "parquet"


def test_what_dataflow_has_no_words_for_is_carried_along() -> None:
    """Rules such as exactly one of two are in customMetadata."""
    told = parameter("pubsub_to_lake", "topic")["customMetadata"]
    assert json.loads(told["headraceExactlyOneOf"]) == ["subscription", "topic"]
    told = parameter("pubsub_aggregate", "id_attribute")["customMetadata"]
    assert json.loads(told["headraceOnlyWith"]) == {"output_topic": []}
    assert parameter("pubsub_to_lake", "dedup_by")["customMetadata"]["headraceSeparator"] == ","


def test_streaming_modes_are_those_of_the_promises() -> None:
    """A lake with each row once is offered in exactly-once mode only."""
    lake, table = metadata(find("pubsub_to_lake")), metadata(find("pubsub_to_bigquery"))
    assert (lake["supportsAtLeastOnce"], lake["supportsExactlyOnce"]) == (False, True)
    assert (table["supportsAtLeastOnce"], table["supportsExactlyOnce"]) == (True, True)
    assert "supportsExactlyOnce" not in metadata(find("lake_compact"))


def test_a_default_mode_is_given_where_there_is_a_choice() -> None:
    """The API takes defaultStreamingMode only if both modes are supported."""
    for template in TEMPLATES:
        made = metadata(template)
        both = made.get("supportsAtLeastOnce") and made.get("supportsExactlyOnce")
        assert made.get("defaultStreamingMode") == ("EXACTLY_ONCE" if both else None)


@all_templates
def test_workers_start_from_the_launchers_image(template: Template) -> None:
    """The launcher gives it to them as --sdk_container_image, and the job is labelled."""
    environment = container_spec(template, "a.b/p/r/{name}:1")["defaultEnvironment"]
    assert environment["sdkContainerImage"] == f"a.b/p/r/{template.name.replace('_', '-')}:1"
    assert environment["additionalUserLabels"] == {"headrace-template": template.name}
    assert environment.get("enableStreamingEngine", False) is template.streaming
