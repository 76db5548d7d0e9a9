"""How a job was run, as flags that our ``launch`` takes."""

import shlex
from pathlib import Path

import pytest

from templates.catalogue import find
from templates.flags import parser
from templates.google.environment import launch_flags, quoted
from templates.google.gcloud import ENVIRONMENT
from templates.google.job import Given, Job
from templates.google.options import OPTIONS
from templates.launch.environment import FIELDS, environment

PATH = Path("job.yaml")
FULL = {
    "maxWorkers": 5, "numWorkers": "2", "machineType": "n2-standard-4", "network": "net",
    "subnetwork": "regions/r-a1/subnetworks/s", "diskSizeGb": 50, "workerRegion": "europe-west1",
    "serviceAccountEmail": "a@my-project.iam.gserviceaccount.com",
    "kmsKeyName": "projects/p/locations/l/keyRings/r/cryptoKeys/k",
    "ipConfiguration": "WORKER_IP_PRIVATE", "enableStreamingEngine": True,
    "tempLocation": "gs://b/t", "stagingLocation": "gs://b/s", "launcherMachineType": "n1-x-1",
    "autoscalingAlgorithm": "THROUGHPUT_BASED", "streamingMode": "STREAMING_MODE_AT_LEAST_ONCE",
    "additionalExperiments": ["a=b", "c"], "additionalUserLabels": {"team": "data", "env": "x"},
}  # fmt: skip


def job(**settings: object) -> Job:
    return Job(PATH, environment={name: Given(each, PATH, 3) for name, each in settings.items()})


def test_the_flags_are_those_of_launch() -> None:
    """The parser takes each, and what it makes of them is what Google's job had."""
    template = find("pubsub_to_bigquery")
    one = job(**FULL)
    one.project, one.region = Given("p", PATH, 1), Given("europe-west1", PATH, 1)
    flags, left = launch_flags(one, template)
    assert left == []
    argv = ["launch", template.name, "--params=x", *flags]
    found = environment(template, parser().parse_args([*map("".join, map(shlex.split, argv))]))
    assert found == FULL | {
        "numWorkers": 2, "autoscalingAlgorithm": "AUTOSCALING_ALGORITHM_BASIC",
    }  # fmt: skip


def test_all_that_can_be_read_is_known() -> None:
    """Names of gcloud's flags and of Beam's options lead to fields that launch has."""
    known = {field.key for field in FIELDS} | {"additionalUserLabels"}
    assert set(OPTIONS.values()) <= known
    assert set(ENVIRONMENT.values()) <= known


@pytest.mark.parametrize(
    ("name", "settings", "why"),
    [
        ("pubsub_to_bigquery", {"sdkContainerImage": "a/b"}, "image of Google's"),
        ("pubsub_to_bigquery", {"additionalPipelineOptions": ["a=b"]}, "Beam for Java"),
        ("pubsub_to_bigquery", {"flexrsGoal": "COST_OPTIMIZED"}, "streams"),
        ("pubsub_to_bigquery", {"zone": "a"}, "no such flag"),
        ("archive_replay", {"enableStreamingEngine": True}, "does not stream"),
        ("pubsub_to_storage", {"streamingMode": "STREAMING_MODE_AT_LEAST_ONCE"}, "exactly-once"),
    ],
)
def test_what_our_job_has_not_is_left_out(name: str, settings: dict[str, object], why: str) -> None:
    """With its place and the reason."""
    flags, [left] = launch_flags(job(**settings), find(name))
    assert flags == ["--project=PROJECT", "--region=REGION"]
    assert left.place == "job.yaml:3"
    assert why in left.why


@pytest.mark.parametrize(
    ("settings", "flags"),
    [
        ({"ipConfiguration": "false"}, ["--ip_configuration=private"]),
        ({"enableStreamingEngine": False}, []),
        ({"additionalUserLabels": ["a=b", "c=d e"]}, ["--label=a=b", "--label='c=d e'"]),
        ({"streamingMode": "STREAMING_MODE_EXACTLY_ONCE"}, ["--streaming_mode=exactly_once"]),
    ],
)
def test_words_of_others_are_understood(settings: dict[str, object], flags: list[str]) -> None:
    """Of Beam's options and of gcloud."""
    assert launch_flags(job(**settings), find("pubsub_to_bigquery"))[0][2:] == flags


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a-b", "a-b"), ("a b", "'a b'"), ("${env:A}", '"${A}"'), ("$${x}", "'${x}'"),
        ('x-${env:A}"`$', '"x-${A}\\"\\`\\$"'),
    ],
)  # fmt: skip
def test_values_are_quoted_for_a_shell(text: str, expected: str) -> None:
    """References are its variables again."""
    assert quoted(text) == expected
