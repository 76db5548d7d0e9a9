"""Parameters in the forms that others read: a REST body, a flags file of gcloud, a command line."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import yaml

from pipelines.params import ConfigError
from templates.catalogue import Template

__all__ = ["FORMS", "Launch", "argv", "flags", "flags_file", "rendered", "rest_body"]

FORMS = ("rest", "flags-file", "argv")

_JOB_NAME = re.compile(r"[a-z]([-a-z0-9]{0,1022}[a-z0-9])?")


@dataclass(frozen=True)
class Launch:
    """What a launch is told beside the parameters.

    Attributes:
        spec: the template, ``gs://BUCKET/OBJECT``.
        job_name: by default the template's name.
        region: that a flags file names; None leaves it out.
        environment: how the job is run, in the form of the REST API.
        update: whether it replaces the running job of that name.
        transform_names: new names of that job's steps by their old ones.
        validate_only: whether the service only judges the request.
    """

    spec: str | None = None
    job_name: str | None = None
    region: str | None = None
    environment: Mapping[str, Any] = field(default_factory=dict)
    update: bool = False
    transform_names: Mapping[str, str] = field(default_factory=dict)
    validate_only: bool = False

    def labelled(self, labels: Mapping[str, str]) -> Launch:
        """Return the same with further labels; those that were given count above them."""
        if not labels:
            return self
        given = self.environment.get("additionalUserLabels", {})
        return replace(
            self, environment={**self.environment, "additionalUserLabels": {**labels, **given}}
        )

    def require_spec(self) -> str:
        """Return the place of the template.

        Raises:
            ConfigError: there is none, or it is none.
        """
        if self.spec is None or not re.fullmatch(r"gs://[^/]+/.+", self.spec):
            raise ConfigError(
                "--spec", self.spec, "must be the template's object gs://BUCKET/OBJECT",
                "Give for example --spec=gs://my-bucket/templates/pubsub_to_lake.json",
            )  # fmt: skip
        return self.spec

    def name_for(self, template: Template) -> str:
        """Return the name of the job.

        Raises:
            ConfigError: Dataflow would refuse it.
        """
        name = self.job_name or template.name.replace("_", "-")
        if not _JOB_NAME.fullmatch(name):
            raise ConfigError(
                "--job_name", name,
                "must be lower-case letters, digits and -, from a letter to no -",
                "Write for example flights-to-lake",
            )  # fmt: skip
        return name


def rendered(form: str, template: Template, texts: Mapping[str, str], launch: Launch) -> str:
    """Return the parameters in one of ``FORMS``.

    Raises:
        ConfigError: the launch lacks something, or its values can't be used.
    """
    if form == "argv":
        start, options = shlex.join(argv(template, {})), flags(texts)
        return " \\\n  ".join([start, *map(shlex.quote, options)]) + "\n"
    if form == "flags-file":
        return flags_file(texts, launch)
    body = rest_body(template, texts, launch)
    return json.dumps(body, indent=2, ensure_ascii=False) + "\n"


def argv(template: Template, texts: Mapping[str, str]) -> list[str]:
    """Return a command that starts the pipeline, without the options of its runner."""
    return ["python", "-m", template.module.__name__, *flags(texts)]


def flags(texts: Mapping[str, str]) -> list[str]:
    """Return the flags of a pipeline."""
    return [f"--{name}={text}" for name, text in texts.items()]


def rest_body(template: Template, texts: Mapping[str, str], launch: Launch) -> dict[str, Any]:
    """Return the body of ``projects.locations.flexTemplates.launch``: what ``launch`` sends too."""
    parameter: dict[str, Any] = {
        "jobName": launch.name_for(template),
        "containerSpecGcsPath": launch.require_spec(),
        "parameters": dict(texts),
    }
    if launch.environment:
        parameter["environment"] = dict(launch.environment)
    if launch.update:
        parameter["update"] = True
    if launch.transform_names:
        parameter["transformNameMappings"] = dict(launch.transform_names)
    return {
        "launchParameter": parameter,
        **({"validateOnly": True} if launch.validate_only else {}),
    }


def flags_file(texts: Mapping[str, str], launch: Launch) -> str:
    """Return YAML for ``gcloud dataflow flex-template run NAME --flags-file=FILE``.

    There a map may have commas and quotes in its values, which ``--parameters`` on a command line
    takes apart.
    """
    content: dict[str, Any] = {"--template-file-gcs-location": launch.require_spec()}
    if launch.region is not None:
        content["--region"] = launch.region
    content["--parameters"] = dict(texts)
    # Every value is a text in quotes: gcloud would take a number for one.
    head = yaml.safe_dump({name: content[name] for name in content if name != "--parameters"})
    lines = [f"  {name}: {json.dumps(text, ensure_ascii=False)}" for name, text in texts.items()]
    return "\n".join([head.rstrip(), "--parameters:", *lines]) + "\n"
