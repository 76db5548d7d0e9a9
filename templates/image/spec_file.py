"""The file that is a Flex template, the container spec: where it is put."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from connectors.objects import store_of
from pipelines.params import ConfigError
from templates.catalogue import Template
from templates.derived.metadata import container_spec

__all__ = ["NAME", "require_spec_place", "spec_place", "spec_text", "write_spec"]

NAME = "{name}"
"""Stands in a place for the template's name."""

_OBJECT = re.compile(r"gs://[a-z0-9][a-z0-9._-]{1,221}/[^\s/][^\r\n]*\.json")


def spec_place(text: str, template: Template) -> str:
    """Return where a template's spec is put: ``gs://BUCKET/OBJECT.json``, or an absolute path.

    Raises:
        ConfigError: it is neither.
    """
    place = text.replace(NAME, template.name)
    if place.startswith("gs://"):
        if not _OBJECT.fullmatch(place):
            raise _error(text, "must be gs://BUCKET/OBJECT.json")
        return place
    if "://" in place or not place.endswith(".json") or Path(place).is_dir():
        raise _error(text, "must be gs://BUCKET/OBJECT.json, or a file .json on this machine")
    return str(Path(place).absolute())


def require_spec_place(text: str, templates: tuple[Template, ...]) -> None:
    """Refuse a place that is none, or that several specs would share.

    Raises:
        ConfigError: it is no place for the specs of these templates.
    """
    for template in templates:
        spec_place(text, template)
    if len(templates) > 1 and NAME not in text:
        raise _error(text, f"must have {NAME} in it, for a place for each template")


def _error(text: str, rule: str) -> ConfigError:
    return ConfigError(
        "--spec", text, rule, "Write for example gs://my-bucket/templates/{name}.json"
    )


def spec_text(template: Template, image: str) -> str:
    """Return the content of a template's spec, for an image that is built."""
    spec: dict[str, Any] = container_spec(template, image)
    return json.dumps(spec, indent=2, ensure_ascii=False) + "\n"


def write_spec(place: str, text: str) -> None:
    """Put a spec where it is launched from.

    Guarantees:
        Whoever reads the place meanwhile finds the spec that was there or this one, whole.

    Raises:
        HeadraceError: Cloud Storage refuses, or the disk does.
    """
    if not place.startswith("gs://"):
        Path(place).parent.mkdir(parents=True, exist_ok=True)
    store_of(place).write(place, text.encode())
