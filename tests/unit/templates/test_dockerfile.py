"""The Dockerfile: one image for launcher and workers, whose layers all templates share."""

import re
from pathlib import Path

from templates.build_context import write_context
from templates.catalogue import find
from templates.entry import variables
from tests.commands import ROOT

TEXT = (ROOT / "templates" / "image" / "Dockerfile").read_text()


def instructions() -> list[str]:
    """Return the instructions, each on one line."""
    joined = re.sub(r"\\\n\s*", "", TEXT)
    return [line for line in joined.splitlines() if line and not line.startswith("#")]


def last_stage() -> list[str]:
    """Return the instructions of the image itself."""
    lines = instructions()
    starts = [at for at, line in enumerate(lines) if line.startswith("FROM ")]
    return lines[starts[-1] + 1 :]


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
    lines = last_stage()
    assert 'ENTRYPOINT ["/opt/apache/beam/boot"]' in lines
    assert any(line.startswith("COPY --from=beam /opt/apache/beam ") for line in lines)
    assert (
        "COPY --from=launcher /opt/google/dataflow/python_template_launcher /opt/google/dataflow/"
        in lines
    )
    assert not any(line.startswith("USER") for line in lines)


def test_image_names_the_file_of_its_template_alone() -> None:
    """Nothing is fetched at a launch: none of the other variables is set."""
    (line,) = [line for line in instructions() if "FLEX_TEMPLATE" in line]
    for name, value in variables(find("pubsub_to_lake")).items():
        assert line == f'ENV {name}="{value.replace("pubsub_to_lake", "${TEMPLATE}")}"'


def test_nothing_after_the_template_makes_a_layer() -> None:
    """So that the images of eight templates take the place of one."""
    lines = last_stage()
    after = lines[lines.index("ARG TEMPLATE") :]
    assert {line.split()[0] for line in after} == {"ARG", "LABEL", "ENV"}
    before = lines[: lines.index("ARG TEMPLATE")]
    assert not any("${TEMPLATE}" in line for line in before)


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
    folder = write_context(tmp_path, "{}").folder
    copied = [
        name
        for line in instructions()
        if line.startswith("COPY ") and "--from=" not in line
        for name in line.split()[1:-1]
    ]
    assert copied
    for name in copied:
        assert (folder / name).exists(), name
