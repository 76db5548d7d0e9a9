"""How an image is built and pushed: commands of Docker, Podman and Buildah, and Cloud Build."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from pathlib import Path

from templates.catalogue import Template
from templates.image.context import CLOUD_BUILD, Context
from templates.image.own_wheel import epoch_s

__all__ = [
    "ENGINES",
    "ImageBuild",
    "build_command",
    "cloud_build",
    "cloud_build_command",
    "push_command",
    "shown",
]

ENGINES = ("docker", "podman", "buildah")
"""In the order in which they are looked for."""

PLATFORM = "linux/amd64"
_TIMEOUT = "3600s"


@dataclass(frozen=True)
class ImageBuild:
    """An image to build.

    Attributes:
        template: that it launches.
        image: its name, with a tag.
        bases: the three images that it is made from, by the Dockerfile's argument; those that are
            missing are the Dockerfile's own.
    """

    template: Template
    image: str
    bases: tuple[tuple[str, str], ...] = ()

    def flags(self, *, has_wheels: bool) -> list[str]:
        """Return what every engine is told, beside the folder.

        Args:
            has_wheels: whether the folder has all packages.
        """
        values = {
            **dict(self.bases),
            "SOURCE_DATE_EPOCH": str(epoch_s()),
            **({"PIP_NO_INDEX": "1"} if has_wheels else {}),
        }
        return [
            f"--platform={PLATFORM}", f"--target={self.template.name}",
            *(f"--build-arg={name}={value}" for name, value in values.items()),
            f"--tag={self.image}",
        ]  # fmt: skip


def build_command(engine: str, build: ImageBuild, context: Context) -> list[str]:
    """Return the command that builds an image from the folder."""
    # Docker takes the image's time from the argument SOURCE_DATE_EPOCH, and keeps layers for the
    # next template. The other two are told so. In Docker's format they note the container that a
    # layer was made in, which is another each time.
    told = [f"--timestamp={epoch_s()}", "--format=oci", "--layers"]
    return [
        engine, "build", *([] if engine == "docker" else told),
        *build.flags(has_wheels=context.has_wheels), str(context.folder),
    ]  # fmt: skip


def push_command(engine: str, image: str, digest_file: Path | None = None) -> list[str]:
    """Return the command that pushes an image.

    Args:
        engine: one of ``ENGINES``.
        image: its name.
        digest_file: where the digest is written; Docker has no such flag.
    """
    noted = [f"--digestfile={digest_file}"] if digest_file and engine != "docker" else []
    return [engine, "push", *noted, image]


def cloud_build(builds: list[ImageBuild], *, has_wheels: bool) -> str:
    """Return ``cloudbuild.yaml``, which is JSON too."""
    steps = [
        {
            "name": "gcr.io/cloud-builders/docker",
            "env": ["DOCKER_BUILDKIT=1"],
            "args": ["build", *build.flags(has_wheels=has_wheels), "."],
        }
        for build in builds
    ]
    config = {
        "steps": steps,
        "images": [build.image for build in builds],
        "timeout": _TIMEOUT,
    }
    return json.dumps(config, indent=2, ensure_ascii=False) + "\n"


def cloud_build_command(context: Context) -> list[str]:
    """Return the command that has Cloud Build make and push the images."""
    return [
        "gcloud", "builds", "submit", str(context.folder),
        f"--config={context.folder / CLOUD_BUILD}",
    ]  # fmt: skip


def shown(command: list[str]) -> str:
    """Return a command as a shell takes it, with each flag on a line of its own."""
    flags = [at for at, part in enumerate(command) if part.startswith("--")] or [len(command)]
    words = [" ".join(map(shlex.quote, command[: flags[0]]))]
    return " \\\n    ".join([*words, *map(shlex.quote, command[flags[0] :])])
