"""Which container engine is used, and what it is asked after a push."""

import json
from pathlib import Path

import pytest

from templates.image.engine import find_engine, push, run
from tests.container_engine import DIGEST, engine_of, no_engine
from transforms.errors import ConfigError, PermanentError

IMAGE = "localhost:5000/headrace/lake:1"


def test_first_engine_that_answers_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Docker before Podman before Buildah."""
    engine = engine_of(tmp_path / "bin", monkeypatch, "docker", "podman", "buildah")
    assert find_engine() == "docker"
    engine.answer("version", status=1, stderr="Cannot connect to the Docker daemon\n")
    assert find_engine() == "podman"
    engine.answer("info", status=1)
    assert find_engine() is None


def test_without_an_engine_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The commands are printed then; as they are if that is asked."""
    no_engine(tmp_path / "bin", monkeypatch)
    assert find_engine() is None
    engine_of(tmp_path / "other", monkeypatch, "docker")
    assert find_engine("none") is None


def test_an_engine_that_is_wanted_must_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No other takes its place."""
    engine = engine_of(tmp_path / "bin", monkeypatch, "docker", "buildah")
    engine.answer("version", status=1, stderr="Client: 28\nCannot connect to the daemon\n")
    assert find_engine("buildah") == "buildah"
    with pytest.raises(ConfigError, match=r"--engine.*docker.*Cannot connect to the daemon"):
        find_engine("docker")
    with pytest.raises(ConfigError, match=r"--engine.*podman.*not installed"):
        find_engine("podman")


def test_digest_is_that_of_the_registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Docker knows one for each repository; the others write it into a file."""
    engine = engine_of(tmp_path / "bin", monkeypatch, "docker", "podman")
    other = "sha256:" + "f" * 64
    names = [f"localhost:5000/headrace/other@{other}", f"localhost:5000/headrace/lake@{DIGEST}"]
    engine.answer("image", stdout=json.dumps(names))
    assert push("docker", IMAGE) == DIGEST
    assert push("podman", IMAGE) == DIGEST
    assert engine.commands == ["docker push", "docker image", "podman push"]


@pytest.mark.parametrize("answer", ["null", "[]", '["localhost:5000/headrace/lake2@sha256:1"]'])
def test_a_digest_that_is_not_told_is_an_error(
    answer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A spec by tag is not what --push promises."""
    engine = engine_of(tmp_path / "bin", monkeypatch, "docker")
    engine.answer("image", stdout=answer)
    with pytest.raises(PermanentError, match="knows no digest"):
        push("docker", IMAGE)


def test_what_an_engine_prints_is_not_our_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """It goes to stderr; and its failure is ours."""
    engine = engine_of(tmp_path / "bin", monkeypatch, "docker")
    engine.answer("build", status=3, stdout="Step 1\n", stderr="no space\n")
    with pytest.raises(PermanentError, match="docker build ended with 3"):
        run(["docker", "build", "."])
    printed = capfd.readouterr()
    assert (printed.out, printed.err) == ("", "Step 1\nno space\n")
