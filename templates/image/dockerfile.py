"""The Dockerfile of a build: what all images share, and a stage for each template.

A stage states in so many words what a template's image has of its own. By arguments of the build it
would not be safe: Buildah 1.28 takes a layer for the same one when only an argument differs, and
gives the image of one template to another.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from templates.catalogue import TEMPLATES, Template
from templates.image.entry import variables
from templates.image.origin import Origin

__all__ = ["IMAGE_FOLDER", "dockerfile"]

IMAGE_FOLDER = Path(__file__).resolve().parent
"""The shared part of the Dockerfile, and what it installs."""


def dockerfile(version: str, origin: Origin, folder: Path = IMAGE_FOLDER) -> str:
    """Return the Dockerfile, in which each template's name is a target.

    Args:
        version: of the project.
        origin: the commit that is built.
        folder: of the shared part.
    """
    shared = (folder / "Dockerfile").read_text(encoding="utf-8")
    return shared + "".join(_stage(template, version, origin) for template in TEMPLATES)


def _stage(template: Template, version: str, origin: Origin) -> str:
    # See https://specs.opencontainers.org/image-spec/annotations/.
    labels = {
        "org.opencontainers.image.title": template.title,
        "org.opencontainers.image.version": version,
        "org.opencontainers.image.revision": origin.revision,
        "org.opencontainers.image.source": origin.source,
        "org.opencontainers.image.licenses": "Apache-2.0",
        "headrace.template": template.name,
    }
    known = {name: value for name, value in labels.items() if value}
    return (
        f"\nFROM common AS {template.name}\n"
        f"LABEL {_pairs(known)}\n"
        f"ENV {_pairs(variables(template))}\n"
    )


def _pairs(values: Mapping[str, str]) -> str:
    quoted = (f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in values.items())
    return " \\\n      ".join(quoted).replace("$", "\\$")
