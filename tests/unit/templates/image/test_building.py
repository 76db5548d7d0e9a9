"""``build`` and ``spec`` of the command, with an engine that notes what it is told."""

import json
from pathlib import Path

import pytest

from templates.catalogue import TEMPLATES
from templates.command import main
from tests.container_engine import DIGEST, RecordingEngine, engine_of, no_engine

REPOSITORY = "europe-west1-docker.pkg.dev/my-project/headrace"
IMAGE = f"--image={REPOSITORY}/{{name}}:0.1.0"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Builds leave a folder where they are started."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def engine(folder: Path, monkeypatch: pytest.MonkeyPatch) -> RecordingEngine:
    """Buildah, and no other."""
    return engine_of(folder / "bin", monkeypatch, "buildah")


def test_a_template_is_built_pushed_and_named_by_digest(
    engine: RecordingEngine, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """From the folder that is written, to the spec that a launch takes."""
    assert main(["build", "pubsub-to-lake", IMAGE, "--spec={name}.json", "--push"]) == 0
    assert engine.commands == ["buildah info", "buildah build", "buildah push"]
    assert engine.calls[1][-1] == "headrace-image"
    assert (folder / "headrace-image" / "Dockerfile").exists()
    spec = json.loads((folder / "pubsub_to_lake.json").read_text())
    image = f"{REPOSITORY}/pubsub-to-lake@{DIGEST}"
    assert spec["image"] == spec["defaultEnvironment"]["sdkContainerImage"] == image
    printed = capfd.readouterr()
    assert printed.out.splitlines()[-3:] == [
        f"built: {REPOSITORY}/pubsub-to-lake:0.1.0",
        f"pushed: {image}",
        f"spec: {folder / 'pubsub_to_lake.json'}",
    ]
    assert "digest: sha256:" in printed.out
    assert printed.err == ""


def test_all_templates_are_built_in_one_folder(
    engine: RecordingEngine, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """With a spec and an image for each, of the same layers; to be pushed later."""
    assert main(["build", "--all", IMAGE, "--spec=specs/{name}.json"]) == 0
    printed = capfd.readouterr().out
    assert f"push it: buildah push {REPOSITORY}/lake-compact:0.1.0\n" in printed
    assert engine.commands == ["buildah info", *["buildah build"] * len(TEMPLATES)]
    for template in TEMPLATES:
        spec = json.loads((folder / "specs" / f"{template.name}.json").read_text())
        assert spec["image"] == f"{REPOSITORY}/{template.name.replace('_', '-')}:0.1.0"
        assert spec["metadata"]["name"] == template.title


def test_an_engine_that_fails_leaves_no_spec(
    engine: RecordingEngine, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A template without its image can't be launched."""
    engine.answer("build", status=125, stderr="no space left\n")
    assert main(["build", "lake_compact", IMAGE, "--spec=spec.json"]) == 1
    assert capfd.readouterr().err == "no space left\nerror: buildah build ended with 125\n"
    assert not (folder / "spec.json").exists()


def test_without_an_engine_the_commands_are_printed(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of Docker and of Cloud Build; and the spec is put, by tag."""
    no_engine(folder / "bin", monkeypatch)
    assert main(["build", "lake_compact", IMAGE, "--spec=spec.json", "--context=out"]) == 0
    printed = capsys.readouterr()
    image = f"{REPOSITORY}/lake-compact:0.1.0"
    assert "docker build \\\n    --platform=linux/amd64" in printed.out
    assert f"    --tag={image} \\\n    out\ndocker push {image}\n" in printed.out
    assert "gcloud builds submit out \\\n    --config=out/cloudbuild.yaml" in printed.out
    assert "python -m templates spec lake_compact" in printed.out
    assert "names its image by a tag" in printed.err
    assert json.loads((folder / "spec.json").read_text())["image"] == image
    assert json.loads((folder / "out" / "cloudbuild.yaml").read_text())["images"] == [image]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ([IMAGE], "NAME: must be given, or --all; and not both"),
        (
            ["lake_compact", "--all", IMAGE],
            "NAME='lake_compact': must be given, or --all; and not both",
        ),
        (["lake_compat", IMAGE], "there is no template of that name. Did you mean lake_compact?"),
        (["lake_compact", "--image=lake:1"], "--image='lake:1': must be HOST/PATH:TAG"),
        (["--all", f"--image={REPOSITORY}/lake:1"], "must have {name} in it"),
        (["--all", IMAGE, "--spec=gs://bucket/spec.json"], "must have {name} in it"),
        (["lake_compact", IMAGE, "--spec=s3://b/spec.json"], "must be gs://BUCKET/OBJECT.json"),
        (["lake_compact", IMAGE, "--push", "--engine=none"], "--push: needs a container engine"),
        (["lake_compact", IMAGE, "--engine=docker"], "--engine='docker': can't be used"),
    ],
)
def test_a_mistake_is_told_before_anything_is_written(
    flags: list[str], message: str, engine: RecordingEngine, folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """With exit code 2, and nothing built."""
    assert main(["build", *flags]) == 2
    assert message in capsys.readouterr().err
    assert "buildah build" not in engine.commands
    assert [path.name for path in folder.iterdir()] == ["bin"]


def test_spec_of_an_image_that_is_there(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By digest, as Cloud Build tells it; printed or put."""
    image = f"--image={REPOSITORY}/pubsub-to-lake@{DIGEST}"
    assert main(["spec", "pubsub_to_lake", image]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["image"].endswith(DIGEST)
    assert shown.err == ""
    assert main(["spec", "pubsub_to_lake", image, "--spec={name}.json"]) == 0
    assert capsys.readouterr().out == f"spec: {folder / 'pubsub_to_lake.json'}\n"
    assert (folder / "pubsub_to_lake.json").read_text() == shown.out


def test_a_tag_that_moves_is_warned_of(capsys: pytest.CaptureFixture[str]) -> None:
    """Workers that start tomorrow may run other code."""
    assert main(["spec", "lake_compact", f"--image={REPOSITORY}/lake:latest"]) == 0
    assert "warning: the tag of" in capsys.readouterr().err
