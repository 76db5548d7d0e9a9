"""``metadata.json`` of a Flex template, and the container spec that is the template.

The container spec is ours: ``gcloud dataflow flex-template build`` copies four fields of the
metadata and drops what says how a streaming job may run.
"""

from __future__ import annotations

from typing import Any

from pipelines.params import rules
from templates.catalogue import Template
from templates.derived.parameter import parameter_metadata

__all__ = ["IMAGE", "container_spec", "metadata"]

IMAGE = "REGION-docker.pkg.dev/PROJECT/headrace/{name}:VERSION"
"""Stands in the spec that is checked in, for an image that is built."""


def metadata(template: Template) -> dict[str, Any]:
    """Return Dataflow's ``TemplateMetadata`` in the form of the REST API."""
    declared = rules(template.params)
    return {
        "name": template.title,
        "description": template.description,
        "parameters": [parameter_metadata(spec, declared) for spec in template.parameters],
        **(_streaming(template) if template.streaming else {"streaming": False}),
    }


def _streaming(template: Template) -> dict[str, Any]:
    # A default is only valid where there is a choice, says the API.
    default = {"defaultStreamingMode": "EXACTLY_ONCE"} if template.at_least_once else {}
    return {
        "streaming": True,
        "supportsAtLeastOnce": template.at_least_once,
        "supportsExactlyOnce": True,
        **default,
    }


def container_spec(template: Template, image: str = IMAGE) -> dict[str, Any]:
    """Return Dataflow's ``ContainerSpec``: the file that a launch names.

    Args:
        template: one of the catalogue.
        image: that its launcher starts, and the workers too; ``{name}`` stands for the name with
            ``-``.
    """
    image = image.replace("{name}", template.name.replace("_", "-"))
    return {
        "image": image,
        "metadata": metadata(template),
        "sdkInfo": {"language": "PYTHON"},
        "defaultEnvironment": {
            "sdkContainerImage": image,
            **({"enableStreamingEngine": True} if template.streaming else {}),
            "additionalUserLabels": {"headrace-template": template.name},
        },
    }
