"""Names of images: ``HOST/PATH:TAG`` before one is built, ``HOST/PATH@sha256:...`` of one built.

Source of the grammar: https://github.com/distribution/reference, and of Artifact Registry's form:
https://cloud.google.com/artifact-registry/docs/docker/names.
"""

from __future__ import annotations

import re

from pipelines.params import ConfigError
from templates.catalogue import Template

__all__ = ["NAME", "by_digest", "image_of", "is_latest"]

NAME = "{name}"
"""Stands in an image's name for the template's, with ``-``."""

_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_HOST = r"(?P<host>(?:[a-z0-9-]+(?:\.[a-z0-9-]+)+|localhost)(?::[0-9]+)?)"
_IMAGE = re.compile(
    rf"{_HOST}/(?P<path>{_PART}(?:/{_PART})*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)
_EXAMPLE = "europe-west1-docker.pkg.dev/my-project/headrace/{name}:0.1.0"
_REGISTRY_PARTS_MIN = 3
"""Artifact Registry's PROJECT/REPOSITORY/IMAGE."""
_IMAGE_CHARACTERS_MAX = 255


def image_of(text: str, template: Template, *, is_built: bool = False) -> str:
    """Return the name of a template's image.

    Args:
        text: the name, in which ``{name}`` stands for the template's.
        template: whose image it is.
        is_built: whether there is one already, so that its digest may be given.

    Raises:
        ConfigError: it is no name that an image can be pushed under.
    """
    image = text.replace(NAME, template.name.replace("_", "-"))
    found = _IMAGE.fullmatch(image)
    if found is None or len(image) > _IMAGE_CHARACTERS_MAX:
        raise _error(text, "must be HOST/PATH:TAG in lower case, of a registry's host")
    if found["host"].endswith("-docker.pkg.dev"):
        _require_registry_form(text, found["path"])
    if found["digest"] and not is_built:
        raise _error(text, "names a digest, which an image has once it is built")
    if not found["digest"] and not found["tag"]:
        raise _error(text, "has no tag, which says what version it is")
    return image


def _require_registry_form(text: str, path: str) -> None:
    if len(path.split("/")) < _REGISTRY_PARTS_MIN:
        raise _error(text, "must be LOCATION-docker.pkg.dev/PROJECT/REPOSITORY/IMAGE:TAG")


def _error(text: str, rule: str) -> ConfigError:
    return ConfigError("--image", text, rule, f"Write for example {_EXAMPLE}")


def is_latest(image: str) -> bool:
    """Tell whether an image is named by the tag that is moved with each push."""
    return image.endswith(":latest")


def by_digest(image: str, digest: str) -> str:
    """Return the name of an image as it is now and ever: ``HOST/PATH@sha256:...``."""
    found = _IMAGE.fullmatch(image)
    if found is None:
        raise ValueError(f"no name of an image: {image}")
    return f"{found['host']}/{found['path']}@{digest}"
