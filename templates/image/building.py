"""``templates build``: an image, and the spec by which it is launched."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from pipelines.params import ConfigError
from templates.catalogue import Template
from templates.image.commands import (
    ImageBuild,
    build_command,
    cloud_build,
    cloud_build_command,
    push_command,
    shown,
)
from templates.image.context import Context, write_context
from templates.image.engine import find_engine, push, run
from templates.image.name import NAME, by_digest, image_of, is_latest
from templates.image.origin import origin_of
from templates.image.spec_file import require_spec_place, spec_place, spec_text, write_spec

__all__ = ["Build", "make_spec"]


@dataclass(frozen=True)
class Build:
    """What is built, and with what.

    Attributes:
        templates: whose images are built; they share all of their layers.
        image: name of the images; of several, with ``{name}``.
        spec: where the specs are put; of several, with ``{name}``.
        context: folder that is written and built in.
        engine: that builds; None takes the first that answers, and "none" only prints.
        is_pushed: whether the images are pushed, and the specs name them by digest.
        with_wheels: whether all packages are fetched into the folder.
        bases: images to build from, by the Dockerfile's argument.
    """

    templates: tuple[Template, ...]
    image: str
    spec: str | None
    context: Path
    engine: str | None = None
    is_pushed: bool = False
    with_wheels: bool = False
    bases: tuple[tuple[str, str], ...] = ()

    def start(self) -> None:
        """Do it.

        Raises:
            ConfigError: an argument is wrong; then nothing was built and nothing was written.
            PermanentError: the engine fails, or what the spec is written to; its reason is on
                stderr.
        """
        builds = self._builds()
        engine = find_engine(self.engine)
        if self.is_pushed and engine is None:
            raise ConfigError(
                "--push", None, "needs a container engine, and none answers",
                "Start Docker, Podman or Buildah; or leave --push out, and run what is printed",
            )  # fmt: skip
        told = cloud_build(builds, has_wheels=self.with_wheels)
        context = write_context(self.context, told, origin_of(), with_wheels=self.with_wheels)
        print(f"context: {context.folder} ({context.bytes:,} bytes)\ndigest: {context.digest}")
        images = self._built(engine, builds, context) if engine else _names(builds)
        self._write_specs(images)
        if engine is None:
            _print_commands(builds, context)

    def _builds(self) -> list[ImageBuild]:
        if len(self.templates) > 1 and NAME not in self.image:
            raise ConfigError(
                "--image", self.image, f"must have {NAME} in it, for an image for each template",
                f"Write for example europe-west1-docker.pkg.dev/my-project/headrace/{NAME}:0.1.0",
            )  # fmt: skip
        builds = [
            ImageBuild(template, image_of(self.image, template), self.bases)
            for template in self.templates
        ]
        if self.spec:
            require_spec_place(self.spec, self.templates)
            for build in builds:  # what a spec is made of should not fail after the image
                spec_text(build.template, build.image)
        return builds

    def _built(
        self, engine: str, builds: list[ImageBuild], context: Context
    ) -> dict[Template, str]:
        """Build the images, and push them if asked; return their names."""
        images = _names(builds)
        for build in builds:
            run(build_command(engine, build, context))
            print(f"built: {build.image}")
            if not self.is_pushed:
                print(f"push it: {shown(push_command(engine, build.image))}")
        if self.is_pushed:
            for template, image in images.items():
                images[template] = by_digest(image, push(engine, image))
                print(f"pushed: {images[template]}")
        return images

    def _write_specs(self, images: dict[Template, str]) -> None:
        for template, image in images.items():
            if self.spec:
                place = spec_place(self.spec, template)
                write_spec(place, spec_text(template, image))
                print(f"spec: {place}")
                _warn(image)


def make_spec(template: Template, image: str, place: str | None) -> None:
    """Write the spec of an image that is there, or print it.

    Args:
        template: that the image launches.
        image: its name, by tag or by digest.
        place: ``gs://BUCKET/OBJECT.json`` or a file; None prints.

    Raises:
        ConfigError: the name or the place is none.
    """
    name = image_of(image, template, is_built=True)
    text = spec_text(template, name)
    if place is None:
        print(text, end="")
    else:
        write_spec(spec_place(place, template), text)
        print(f"spec: {spec_place(place, template)}")
    _warn(name)


def _names(builds: list[ImageBuild]) -> dict[Template, str]:
    return {build.template: build.image for build in builds}


def _warn(image: str) -> None:
    if is_latest(image):
        text = "is moved by each push: workers that start later may run other code"
        print(f"warning: the tag of {image} {text}", file=sys.stderr)
    elif "@" not in image:
        text = "names its image by a tag, which can be pushed anew; --push names it by digest"
        print(f"note: the spec {text}", file=sys.stderr)


def _print_commands(builds: list[ImageBuild], context: Context) -> None:
    print("\nNo container engine is used. With Docker:\n")
    for build in builds:
        print(shown(build_command("docker", build, context)))
        print(shown(push_command("docker", build.image)) + "\n")
    print("With Cloud Build, which pushes too:\n")
    print(shown(cloud_build_command(context)))
    print("\nThen give the spec the digest that the push tells:\n")
    for build in builds:
        image = by_digest(build.image, "sha256:...")
        print(f"python -m templates spec {build.template.name} --image={image} --spec=gs://...")
