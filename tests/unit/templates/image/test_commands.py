"""Commands of engines, and the steps of Cloud Build."""

import json
from pathlib import Path

import pytest
import yaml
from google.cloud.devtools import cloudbuild_v1

from templates.catalogue import TEMPLATES, find
from templates.image.commands import (
    ImageBuild,
    build_command,
    cloud_build,
    cloud_build_command,
    push_command,
    shown,
)
from templates.image.context import Context

CONTEXT = Context(Path("/work/image"), "sha256:1", 1, has_wheels=False)
LAKE = ImageBuild(find("pubsub_to_lake"), "a.b/p/r/pubsub-to-lake:1")


def arguments(command: list[str]) -> dict[str, str]:
    """Return the Dockerfile's arguments that a command gives."""
    given = (part.partition("=")[2] for part in command if part.startswith("--build-arg="))
    return {name: value for name, _, value in (each.partition("=") for each in given)}


@pytest.mark.parametrize("engine", ["docker", "podman", "buildah"])
def test_build_makes_the_stage_of_the_template(engine: str) -> None:
    """For the platform of Dataflow's workers, whatever this machine is."""
    command = build_command(engine, LAKE, CONTEXT)
    assert command[:2] == [engine, "build"]
    assert command[-2:] == ["--tag=a.b/p/r/pubsub-to-lake:1", "/work/image"]
    assert "--platform=linux/amd64" in command
    assert "--target=pubsub_to_lake" in command
    assert arguments(command) == {"SOURCE_DATE_EPOCH": "315532800"}


def test_files_have_the_same_time_in_every_build() -> None:
    """Docker takes it from the argument; the others have flags. All keep layers for the next."""
    told = {"--timestamp=315532800", "--format=oci", "--layers"}
    assert not told & set(build_command("docker", LAKE, CONTEXT))
    for engine in ("podman", "buildah"):
        assert told < set(build_command(engine, LAKE, CONTEXT))


def test_a_folder_with_all_packages_needs_no_index() -> None:
    """Pip is told not to look for one."""
    command = build_command("docker", LAKE, CONTEXT._replace(has_wheels=True))
    assert arguments(command)["PIP_NO_INDEX"] == "1"
    assert "PIP_NO_INDEX" not in arguments(build_command("docker", LAKE, CONTEXT))


def test_images_to_build_from_may_be_given() -> None:
    """By digest, for the same bytes next year."""
    bases = (("PYTHON_IMAGE", "python@sha256:12"), ("BEAM_IMAGE", "beam@sha256:34"))
    build = ImageBuild(LAKE.template, LAKE.image, bases)
    for given in (
        arguments(build_command("docker", build, CONTEXT)),
        arguments(json.loads(cloud_build([build], has_wheels=False))["steps"][0]["args"]),
    ):
        assert (given["PYTHON_IMAGE"], given["BEAM_IMAGE"]) == (
            "python@sha256:12",
            "beam@sha256:34",
        )
        assert "LAUNCHER_IMAGE" not in given


def test_push_asks_for_the_digest_where_there_is_a_flag(tmp_path: Path) -> None:
    """Docker tells it afterwards."""
    assert push_command("docker", LAKE.image, tmp_path) == ["docker", "push", LAKE.image]
    assert push_command("podman", LAKE.image) == ["podman", "push", LAKE.image]
    assert push_command("buildah", LAKE.image, tmp_path) == [
        "buildah", "push", f"--digestfile={tmp_path}", LAKE.image,
    ]  # fmt: skip


def test_cloud_build_takes_the_file() -> None:
    """Every key is one of Google's own client, and every image is built by a step."""
    builds = [ImageBuild(each, f"a.b/p/r/{each.name.replace('_', '-')}:1") for each in TEMPLATES]
    text = cloud_build(builds, has_wheels=True)
    assert yaml.safe_load(text) == json.loads(text)
    read = cloudbuild_v1.Build.from_json(text, ignore_unknown_fields=False)
    assert list(read.images) == [build.image for build in builds]
    assert read.timeout.total_seconds() == 3600
    for build, step in zip(builds, read.steps, strict=True):
        assert step.args[0] == "build"
        assert step.args[-1] == "."
        assert f"--tag={build.image}" in step.args
        assert f"--target={build.template.name}" in step.args
        assert arguments(list(step.args))["PIP_NO_INDEX"] == "1"


def test_cloud_build_is_given_the_folder() -> None:
    """And the file in it."""
    assert cloud_build_command(CONTEXT) == [
        "gcloud", "builds", "submit", "/work/image", "--config=/work/image/cloudbuild.yaml",
    ]  # fmt: skip


def test_commands_are_shown_as_a_shell_takes_them() -> None:
    """A folder may have spaces."""
    assert shown(["docker", "push", "a b"]) == "docker push 'a b'"
    text = shown(build_command("docker", LAKE, CONTEXT))
    assert text.startswith("docker build \\\n    --platform=linux/amd64 \\\n")
    assert text.endswith(" \\\n    --tag=a.b/p/r/pubsub-to-lake:1 \\\n    /work/image")
