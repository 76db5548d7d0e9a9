"""Classic templates: a job's graph that is built once, and started as often as wanted.

All parameters are fixed when it is built. In Beam Python a read of Pub/Sub takes no value that
comes later, and the others shape the graph: so a classic template of ours has no parameters.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pipelines.errors import DataError
from pipelines.launch import status
from pipelines.params import ConfigError
from templates.catalogue import Template
from templates.derived.metadata import metadata
from templates.files.render import Launch, flags
from templates.rehearsal.finding import Finding, WrongError, finding
from templates.rehearsal.graph_checks import Expected, findings
from templates.rehearsal.job_graph import JobGraph, Objects, read_job

__all__ = [
    "METADATA",
    "ClassicTemplate",
    "classic_metadata",
    "create_body",
    "launch_body",
    "launch_url",
]

METADATA = "_metadata"
"""Ends the name of the object beside a template that tells what it is."""

_OBJECT = "gs://([^/ ]+)/.+"
_FOLDER = "gs://[^ ]+"
_SOURCE = "Source"


@dataclass(frozen=True)
class ClassicTemplate:
    """A classic template that is to be built.

    Attributes:
        template: one of the catalogue.
        texts: of its parameters.
        location: of the template, ``gs://BUCKET/OBJECT``.
        project: in which its jobs run.
        region: the same.
        staging: folder of what workers fetch; it must stay as long as the template.
        temp: folder for temporary objects of its jobs.
        image: of the workers.
        setup_file: stages the code for an image that lacks it.
        launch: name of the job, under which the graph is staged.
    """

    template: Template
    texts: Mapping[str, str]
    location: str
    project: str
    region: str
    staging: str | None = None
    temp: str | None = None
    image: str | None = None
    setup_file: Path | None = None
    launch: Launch = Launch()  # noqa: RUF009 (it is frozen)

    def build(self, objects: Objects) -> list[Finding]:
        """Build it, judge it, and put it in its place if all is well.

        Args:
            objects: of Cloud Storage.

        Returns:
            The outcome of each check. If one has failed, nothing is in that place.

        Raises:
            ConfigError: the place is none, or workers would have no code.
        """
        self._refuse()
        token = f"launch-{secrets.token_hex(8)}"
        built = f"{self._staging}/classic/{token}"
        code = status(self.template.module, [*self._argv(built, token), *flags(self.texts)])
        if code != 0:
            fix = "Mend what it says above"
            problem = f"the pipeline has ended with exit code {code}"
            return [Finding("build", problem=problem, fix=fix)]
        found = list(self._judged(objects, built, token))
        if not any(each.problem for each in found):
            objects.write(self.location, objects.read(built) or b"")
            objects.write(self.location + METADATA, _json(classic_metadata(self.template)))
        return found

    def _judged(self, objects: Objects, built: str, token: str) -> Iterator[Finding]:
        try:
            graph = read_job(objects, built)
        except DataError as error:
            fix = "Leave --staging_location to this command"
            yield Finding("job file", problem=str(error), fix=fix)
            return
        yield from findings(graph, self._expected())
        yield finding("names by launch", lambda: _names(graph, token))
        yield finding("files listed", lambda: _listed(self.template, self.texts))

    def _refuse(self) -> None:
        if not re.fullmatch(_OBJECT, self.location):
            raise ConfigError(
                "--template_location", self.location, "must be an object gs://BUCKET/OBJECT",
                "Write for example --template_location=gs://my-bucket/templates/flights",
            )  # fmt: skip
        for flag, folder in (("--staging_location", self.staging), ("--temp_location", self.temp)):
            if folder is not None and not re.fullmatch(_FOLDER, folder):
                rule = "must be a folder gs://BUCKET/FOLDER"
                raise ConfigError(flag, folder, rule, f"Write for example {flag}=gs://my-bucket/x")
        if not self.image and self.setup_file is None:
            raise ConfigError(
                "--image", None, "or --setup_file is needed: workers must have the code",
                "Give the image that build has made, or --setup_file=setup.py",
            )  # fmt: skip

    @property
    def _bucket(self) -> str:
        return "/".join(self.location.split("/")[:3])

    @property
    def _staging(self) -> str:
        return (self.staging or f"{self._bucket}/staging").rstrip("/")

    @property
    def temp_location(self) -> str:
        """Folder for temporary objects of its jobs."""
        return (self.temp or f"{self._bucket}/temp").rstrip("/")

    def _options(self) -> dict[str, str]:
        return {
            "runner": "DataflowRunner",
            "project": self.project,
            "region": self.region,
            "job_name": self.launch.name_for(self.template),
            "staging_location": self._staging,
            "temp_location": self.temp_location,
        }

    def _argv(self, built: str, token: str) -> list[str]:
        options = {**self._options(), "template_location": built, "headrace_job": token}
        if self.image:
            options["sdk_container_image"] = self.image
        if self.setup_file is not None:
            options["setup_file"] = str(self.setup_file)
        return [f"--{name}={value}" for name, value in options.items()]

    def _expected(self) -> Expected:
        read = [text for name, text in self.texts.items() if name in _sources(self.template)]
        subscriptions = tuple(text for text in read if "/subscriptions/" in text)
        return Expected(
            streaming=self.template.streaming or bool(subscriptions),
            options=self._options(),
            labels={},
            image=self.image or None,
            staged_code=self.setup_file is not None,
            subscriptions=subscriptions,
            topics=tuple(text for text in read if "/topics/" in text),
        )


def _names(graph: JobGraph, token: str) -> str:
    for step, each in graph.pickled.items():
        if any(token in text for text in each.texts):
            raise WrongError(
                f"{step} names what it writes by the launch, and all jobs of a classic template "
                "have one: a second job would replace the files of the first",
                "Build a Flex template: python -m templates build. Or write to topics and tables "
                "alone, dead letters too",
            )
    return "nothing is named by the launch"


def _listed(template: Template, texts: Mapping[str, str]) -> str:
    for name in _sources(template):
        if texts.get(name, "").startswith("gs://"):
            raise WrongError(
                f"the files of {name}={texts[name]} were listed just now, and a job of the "
                "template would see no others",
                "Build a Flex template: python -m templates build",
            )
    return "no files are listed when it is built"


def _sources(template: Template) -> Sequence[str]:
    return [spec.name for spec in template.parameters if spec.group == _SOURCE]


def classic_metadata(template: Template) -> dict[str, Any]:
    """Return what lies beside a classic template: ours take no parameters."""
    return {**metadata(template), "parameters": []}


def launch_body(job_name: str, temp: str) -> dict[str, Any]:
    """Return the body of ``projects.locations.templates.launch``, whose URL names the template."""
    return {"jobName": job_name, "parameters": {}, "environment": {"tempLocation": temp}}


def create_body(job_name: str, temp: str, location: str) -> dict[str, Any]:
    """Return the body of ``projects.locations.templates.create``."""
    return {**launch_body(job_name, temp), "gcsPath": location}


def launch_url(project: str, region: str, location: str) -> str:
    """Return the URL of ``projects.locations.templates.launch``."""
    path = f"v1b3/projects/{project}/locations/{region}/templates:launch"
    return f"https://dataflow.googleapis.com/{path}?gcsPath={quote(location, safe='')}"


def _json(content: Mapping[str, Any]) -> bytes:
    return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()
