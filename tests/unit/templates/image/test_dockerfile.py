"""The Dockerfile: one image for launcher and workers, whose layers all templates share."""

import re
from pathlib import Path

import pytest

from templates.catalogue import TEMPLATES, Template
from templates.image.context import write_context
from templates.image.dockerfile import dockerfile
from templates.image.entry import variables
from templates.image.origin import Origin
from tests.commands import ROOT

ORIGIN = Origin("0123abc", "https://example.com/headrace.git")
TEXT = dockerfile("0.1.0", ORIGIN)


def instructions() -> list[str]:
    """Return the instructions, each on one line."""
    joined = re.sub(r"\\\n\s*", "", TEXT)
    return [line for line in joined.splitlines() if line and not line.startswith("#")]


def stage(name: str) -> list[str]:
    """Return the instructions of a stage."""
    lines = instructions()
    (start,) = [at for at, line in enumerate(lines) if line.endswith(f" AS {name}")]
    after = [at for at, line in enumerate(lines) if line.startswith("FROM ") and at > start]
    return lines[start : after[0] if after else None]


def test_versions_are_those_of_the_lock() -> None:
    """Beam's boot must be of the Beam that is installed, and all images of one Python."""
    lock = (ROOT / "requirements.lock").read_text()
    (beam,) = re.findall(r"^apache-beam==(\S+)$", lock, re.MULTILINE)
    images = dict(re.findall(r"^ARG (\w+_IMAGE)=(\S+)$", TEXT, re.MULTILINE))
    assert images["BEAM_IMAGE"] == f"apache/beam_python3.11_sdk:{beam}"
    assert images["PYTHON_IMAGE"].startswith("python:3.11-slim")
    assert "/python311-template-launcher-base:" in images["LAUNCHER_IMAGE"]
    assert not any(image.endswith(":latest") for image in images.values())


def test_worker_and_launcher_find_what_starts_them() -> None:
    """By the contracts of Beam's containers and of Flex templates."""
    lines = stage("common")
    assert 'ENTRYPOINT ["/opt/apache/beam/boot"]' in lines
    assert any(line.startswith("COPY --from=beam /opt/apache/beam ") for line in lines)
    assert (
        "COPY --from=launcher /opt/google/dataflow/python_template_launcher /opt/google/dataflow/"
        in lines
    )
    assert not any(line.startswith("USER") for line in lines)


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda each: each.name)
def test_a_templates_stage_adds_no_files(template: Template) -> None:
    """Only what the launcher is told, and labels: so eight images take the place of one."""
    first, labels, environment = stage(template.name)
    assert first == f"FROM common AS {template.name}"
    told = variables(template)
    assert environment == "ENV " + " ".join(f'{name}="{told[name]}"' for name in told)
    assert labels.startswith("LABEL org.opencontainers.image.title=")
    assert f'org.opencontainers.image.title="{template.title}"' in labels
    assert 'org.opencontainers.image.version="0.1.0"' in labels
    assert 'org.opencontainers.image.revision="0123abc"' in labels
    assert 'org.opencontainers.image.source="https://example.com/headrace.git"' in labels
    assert f'headrace.template="{template.name}"' in labels


def test_an_unknown_commit_is_no_label() -> None:
    """Of sources without Git."""
    text = dockerfile("0.1.0", Origin("", ""))
    assert "image.revision" not in text
    assert "image.source" not in text
    assert "image.version" in text


def test_packages_are_of_known_bytes() -> None:
    """By hash, without what they say they need, and compiled without a time."""
    (run,) = [line for line in instructions() if line.startswith("RUN pip")]
    for command in run.split("&&"):
        is_own = "headrace-" in command
        assert "--no-deps" in command
        assert ("--no-index" if is_own else "--require-hashes") in command
    assert "--invalidation-mode=unchecked-hash" in TEXT


def test_what_is_copied_is_in_the_folder(tmp_path: Path) -> None:
    """The Dockerfile finds each file in the folder that is made for it."""
    folder = write_context(tmp_path, "{}", ORIGIN).folder
    copied = [
        name
        for line in instructions()
        if line.startswith("COPY ") and "--from=" not in line
        for name in line.split()[1:-1]
    ]
    assert copied
    for name in copied:
        assert (folder / name).exists(), name
