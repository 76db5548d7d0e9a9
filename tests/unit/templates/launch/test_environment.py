"""Flags of workers: each is a field of the API, and what it refuses is refused before."""

import argparse
import json

import pytest
from google.cloud import dataflow_v1beta3 as api

from pipelines.params import ConfigError
from templates.catalogue import find
from templates.launch.environment import FIELDS, LEFT_OUT, add_flags, environment

STREAM, STRICT, BATCH = (
    find(name) for name in ("pubsub_to_pubsub", "pubsub_to_lake", "archive_replay")
)


def parsed(*flags: str) -> argparse.Namespace:
    """Return options as the command gets them."""
    parser = argparse.ArgumentParser()
    add_flags(parser)
    return parser.parse_args(flags)


def test_every_field_of_the_api_is_a_flag_or_left_out_with_a_reason() -> None:
    """Under its own name, so that what the API documents holds here."""
    known = {field.name for field in api.FlexTemplateRuntimeEnvironment.pb().DESCRIPTOR.fields}
    assert {field.name for field in FIELDS} | set(LEFT_OUT) == known
    assert not {field.name for field in FIELDS} & set(LEFT_OUT)


def test_keys_are_those_of_json() -> None:
    """As the messages' own descriptor has them."""
    names = api.FlexTemplateRuntimeEnvironment.pb().DESCRIPTOR.fields_by_name
    assert {field.key for field in FIELDS} == {names[field.name].json_name for field in FIELDS}


@pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)
def test_the_api_takes_what_each_flag_makes(field: object) -> None:
    """Its example, or each of its choices, arrives in the field of that name."""
    template = BATCH if field.name == "flexrs_goal" else STREAM
    values = field.choices or ((None,) if field.switch else (field.example,))
    for value in values:
        flag = f"--{field.name}" if value is None else f"--{field.name}={value}"
        made = environment(template, parsed(flag))
        message = api.FlexTemplateRuntimeEnvironment.from_json(
            json.dumps(made), ignore_unknown_fields=False
        )
        assert list(made) == [field.key]
        assert field.name in message
        assert getattr(message, field.name)


def test_nothing_given_is_nothing_sent() -> None:
    """So that the template's own defaults hold."""
    assert environment(STREAM, parsed()) == {}


def test_labels_and_what_is_repeated() -> None:
    """A map, and lists in the order that was given."""
    made = environment(
        STREAM,
        parsed(
            "--label=team=data", "--label", "cost=a-1", "--additional_experiments=b",
            "--additional_experiments=a=1", "--additional_pipeline_options=x=1,2",
        ),
    )  # fmt: skip
    assert made == {
        "additionalExperiments": ["b", "a=1"],
        "additionalPipelineOptions": ["x=1,2"],
        "additionalUserLabels": {"team": "data", "cost": "a-1"},
    }


@pytest.mark.parametrize(
    ("flag", "rule"),
    [
        ("--num_workers=0", "from 1 to 1,000"),
        ("--max_workers=many", "from 1 to 1,000"),
        ("--disk_size_gb=-1", "from 1 to 65,536"),
        ("--machine_type=big", "must be a machine type"),
        ("--launcher_machine_type=N1-Standard", "must be a machine type"),
        ("--service_account_email=me@example.com", "address of a service account"),
        ("--network=my network", "name of a network"),
        ("--subnetwork=my-subnetwork", "regions/REGION/subnetworks/NAME"),
        ("--kms_key_name=key", "projects/PROJECT/locations"),
        ("--temp_location=/tmp", "gs://BUCKET/FOLDER"),
        ("--staging_location=bucket", "gs://BUCKET/FOLDER"),
        ("--worker_region=europe-west1-b", "must be a region"),
        ("--worker_zone=europe-west1", "must be a zone"),
        ("--sdk_container_image=image", "with its registry"),
        ("--additional_experiments=a,b", "must be one name"),
        ("--additional_pipeline_options=--x=1", "without --"),
        ("--additional_pipeline_options=streaming=true", "is not yours to give"),
        ("--additional_pipeline_options=where=x", "is a parameter"),
    ],
)
def test_a_value_that_breaks_its_rule(flag: str, rule: str) -> None:
    """The flag, the value, the rule and a fix."""
    with pytest.raises(ConfigError) as caught:
        environment(STREAM, parsed(flag))
    name, _, value = flag.partition("=")
    assert str(caught.value).startswith(f"{name}={value!r}: ")
    assert rule in str(caught.value)
    assert caught.value.fix


def test_at_least_once_only_where_promises_hold() -> None:
    """By the flag, and by the experiment that is another way to it."""
    asked = (
        "--streaming_mode=at_least_once",
        "--additional_experiments=streaming_mode_at_least_once",
    )
    for flag in asked:
        assert environment(STREAM, parsed(flag))
        with pytest.raises(ConfigError, match="would break what pubsub_to_lake promises"):
            environment(STRICT, parsed(flag))
    assert environment(STRICT, parsed("--streaming_mode=exactly_once"))


@pytest.mark.parametrize("flag", ["--streaming_mode=exactly_once", "--enable_streaming_engine"])
def test_a_job_that_ends_has_no_streaming_mode(flag: str) -> None:
    """Nor has one that streams a goal of FlexRS."""
    with pytest.raises(ConfigError, match="which ends, and does not stream"):
        environment(BATCH, parsed(flag))
    with pytest.raises(ConfigError, match="--flexrs_goal: is nothing for a job of pubsub_to_lake"):
        environment(STRICT, parsed("--flexrs_goal=cost"))


def test_a_job_that_may_stream_has_what_either_has() -> None:
    """The flags are read before its parameters: what it reads tells which it is."""
    for flag in (
        "--streaming_mode=exactly_once",
        "--enable_streaming_engine",
        "--flexrs_goal=cost",
    ):
        assert environment(find("deadletter_replay"), parsed(flag))


def test_flags_that_contradict_each_other() -> None:
    """A zone names its region, and there are not more workers than the most."""
    with pytest.raises(ConfigError, match="excludes --worker_region"):
        environment(STREAM, parsed("--worker_zone=europe-west1-b", "--worker_region=europe-west1"))
    with pytest.raises(ConfigError, match="is above --max_workers=2"):
        environment(STREAM, parsed("--num_workers=3", "--max_workers=2"))
