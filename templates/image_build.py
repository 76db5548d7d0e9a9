"""How an image is built and pushed: commands of Docker, Podman and Buildah, and Cloud Build."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from pathlib import Path

from templates.build_context import CLOUD_BUILD, Context
from templates.catalogue import Template
from templates.origin import Origin
from templates.own_wheel import epoch_s, version

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
_LATER = Origin("${_REVISION}", "${_SOURCE}")


@dataclass(frozen=True)
class ImageBuild:
    """An image to build.

    Attributes:
        template: that it launches.
        image: its name, with a tag.
        origin: the commit that is built, and where it is published.
        bases: the three images that it is made from, by the Dockerfile's argument; those that are
            missing are the Dockerfile's own.
    """

    template: Template
    image: str
    origin: Origin
    bases: tuple[tuple[str, str], ...] = ()

    def arguments(self, origin: Origin | None = None) -> list[str]:
        """Return the Dockerfile's arguments as ``--build-arg`` of every engine."""
        revision, source = origin or self.origin
        values = {
            **dict(self.bases),
            "SOURCE_DATE_EPOCH": str(epoch_s()),
            "TEMPLATE": self.template.name,
            "TITLE": self.template.title,
            "VERSION": version(),
            "REVISION": revision,
            "SOURCE": source,
        }
        return [f"--build-arg={name}={value}" for name, value in values.items()]


def build_command(engine: str, build: ImageBuild, context: Context) -> list[str]:
    """Return the command that builds an image from the folder."""
    offline = ["--build-arg=PIP_NO_INDEX=1"] if context.has_wheels else []
    # Docker takes the time of files from the argument SOURCE_DATE_EPOCH, and keeps layers for the
    # next template. The other two are told so, and which form of manifest every registry takes.
    told = [f"--timestamp={epoch_s()}", "--format=docker", "--layers"]
    return [
        engine, "build", f"--platform={PLATFORM}", *([] if engine == "docker" else told),
        *build.arguments(), *offline, f"--tag={build.image}", str(context.folder),
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
    """Return ``cloudbuild.yaml``, which is JSON too.

    The commit is a substitution, so that the file is the same for every commit.
    """
    offline = ["--build-arg=PIP_NO_INDEX=1"] if has_wheels else []
    steps = [
        {
            "name": "gcr.io/cloud-builders/docker",
            "env": ["DOCKER_BUILDKIT=1"],
            "args": [
                "build", f"--platform={PLATFORM}", *build.arguments(_LATER), *offline,
                f"--tag={build.image}", ".",
            ],
        }
        for build in builds
    ]  # fmt: skip
    config = {
        "steps": steps,
        "images": [build.image for build in builds],
        "substitutions": {"_REVISION": "", "_SOURCE": ""},
        "timeout": _TIMEOUT,
    }
    return json.dumps(config, indent=2, ensure_ascii=False) + "\n"


def cloud_build_command(context: Context, origin: Origin) -> list[str]:
    """Return the command that has Cloud Build make and push the images."""
    return [
        "gcloud", "builds", "submit", str(context.folder),
        f"--config={context.folder / CLOUD_BUILD}",
        f"--substitutions=_REVISION={origin.revision},_SOURCE={origin.source}",
    ]  # fmt: skip


def shown(command: list[str]) -> str:
    """Return a command as a shell takes it, with each flag on a line of its own."""
    flags = [at for at, part in enumerate(command) if part.startswith("--")] or [len(command)]
    words = [" ".join(map(shlex.quote, command[: flags[0]]))]
    return " \\\n    ".join([*words, *map(shlex.quote, command[flags[0] :])])
