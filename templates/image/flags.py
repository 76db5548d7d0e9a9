"""``build`` and ``spec`` of the command: their flags, and what is done."""

from __future__ import annotations

import argparse
from pathlib import Path

from pipelines.params import ConfigError
from templates.catalogue import TEMPLATES, find
from templates.image.building import Build, make_spec
from templates.image.commands import ENGINES
from templates.image.engine import NONE

__all__ = ["add_build_flags", "add_spec_flags", "build", "spec"]

_IMAGE = "REGION-docker.pkg.dev/PROJECT/REPOSITORY/{name}:VERSION"
_BASES = ("PYTHON_IMAGE", "BEAM_IMAGE", "LAUNCHER_IMAGE")
"""Arguments of the Dockerfile."""


def add_build_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``build`` to its parser."""
    parser.add_argument("name", metavar="NAME", nargs="?", help="of a template, with - or _")
    parser.add_argument("--all", action="store_true", help="every template, instead of NAME")
    parser.add_argument(
        "--image", metavar=_IMAGE, required=True,
        help="name of the image; {name} stands for the template's, with -",
    )  # fmt: skip
    parser.add_argument(
        "--spec", metavar="gs://BUCKET/{name}.json",
        help="where the template is put, or a file here; {name} stands for its name",
    )  # fmt: skip
    parser.add_argument(
        "--push", action="store_true",
        help="push the image, and name it in the spec by its digest",
    )  # fmt: skip
    parser.add_argument(
        "--context", type=Path, default=Path("headrace-image"), metavar="FOLDER",
        help="that is written and built in (headrace-image)",
    )  # fmt: skip
    parser.add_argument(
        "--wheels", action="store_true",
        help="fetch all packages into the folder, so that the build needs no index",
    )  # fmt: skip
    parser.add_argument(
        "--engine", choices=[*ENGINES, NONE],
        help="that builds (the first that answers); none prints the commands",
    )  # fmt: skip
    bases = parser.add_argument_group("images to build from, best as NAME:TAG@sha256:...")
    bases.add_argument("--python_image", metavar="IMAGE", help="Python 3.11 on Debian")
    bases.add_argument(
        "--beam_image", metavar="IMAGE", help="Beam's SDK, whose boot starts workers"
    )
    bases.add_argument("--launcher_image", metavar="IMAGE", help="Google's, with the launcher")


def build(options: argparse.Namespace) -> int:
    """Build what the flags say; return the exit code.

    Raises:
        HeadraceError: a flag is wrong, or the engine fails.
    """
    if options.all == bool(options.name):
        raise ConfigError(
            "NAME", options.name, "must be given, or --all; and not both",
            "See the templates: python -m templates list",
        )  # fmt: skip
    given = ((name, getattr(options, name.lower())) for name in _BASES)
    Build(
        templates=TEMPLATES if options.all else (find(options.name),),
        image=options.image,
        spec=options.spec,
        context=options.context,
        engine=options.engine,
        is_pushed=options.push,
        with_wheels=options.wheels,
        bases=tuple((name, image) for name, image in given if image),
    ).start()
    return 0


def add_spec_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``spec`` to its parser, which has NAME."""
    parser.add_argument(
        "--image", metavar=_IMAGE, required=True,
        help="that was built and pushed; better by its digest: .../IMAGE@sha256:...",
    )  # fmt: skip
    parser.add_argument(
        "--spec", metavar="gs://BUCKET/{name}.json",
        help="where the template is put, or a file here; without it, the spec is printed",
    )  # fmt: skip


def spec(options: argparse.Namespace) -> int:
    """Write or print a spec; return the exit code.

    Raises:
        ConfigError: a flag is wrong.
    """
    make_spec(find(options.name), options.image, options.spec)
    return 0
