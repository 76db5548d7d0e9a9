"""Files that describe a job of Google's: whatever the form, a ``Job`` comes out.

| form | by what it is known |
|---|---|
| a script with gcloud's command | a line begins with ``gcloud`` |
| gcloud's file of flags | names begin with ``--`` |
| body of flexTemplates.launch | ``launchParameter`` |
| body of templates.launch or create | ``parameters`` as a map, with ``jobName`` and others |
| Terraform in JSON | ``resource``, or the block itself |
| what ``terraform show -json`` prints | ``values`` or ``planned_values`` |
| a map of parameters | anything else |
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pipelines.params import ConfigError
from templates.files.parameter_file import Marked, tree
from templates.google import gcloud
from templates.google.job import Given, Job, escaped

__all__ = ["read"]

_SHOWN = ("values", "planned_values")
_RESOURCES = ("google_dataflow_flex_template_job", "google_dataflow_job")
_TEMPLATE = ("containerSpecGcsPath", "templateGcsPath", "gcsPath")
_ENVIRONMENT = {"labels": "additionalUserLabels", "tempGcsLocation": "tempLocation"}
_JOB = {"jobName": "name", "name": "name", "project": "project", "projectId": "project",
        "region": "region", "location": "region"}  # fmt: skip
_PASSED_OVER = frozenset({
    "containerSpec", "dependsOn", "effectiveLabels", "id", "jobId", "launchOptions", "onDelete",
    "provider", "skipWaitOnJobTermination", "state", "terraformLabels", "timeouts",
    "transformNameMapping", "transformNameMappings", "type", "update", "validateOnly",
})  # fmt: skip
_TERRAFORM = re.compile(r"(?<!\$)\$\{")


def read(path: Path) -> Job:
    """Return the job that a file describes.

    Raises:
        ConfigError: it can't be read, or is none of the forms; it names the line.
    """
    if path.suffix == ".tf":
        raise ConfigError(
            "FILE", str(path), "is Terraform's own language, which is not read",
            "Give what terraform show -json prints, the block in JSON, or its parameters as YAML",
        )  # fmt: skip
    if path.suffix not in (".yaml", ".yml", ".json"):
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            text = ""  # the reader of YAML tells why
        if gcloud.is_script(text):
            return gcloud.from_script(text, path)
    top = tree(path, "FILE")
    return _job(Job(path), top)


def _job(job: Job, top: Marked) -> Job:
    if isinstance(top.value, list) and all(isinstance(each.value, dict) for each in top.value):
        for each in top.value:  # a file of flags may repeat them so
            _job(job, each)
        return job
    if not isinstance(top.value, dict):
        raise ConfigError(
            f"{job.path}:{top.line}", None, "must hold names and values",
            "Give parameters as YAML or JSON, a launch body, a flags file, or gcloud's command",
        )  # fmt: skip
    if any(name.startswith("--") for name in top.value):
        return _flags_file(job, top.value)
    block = _block(job, top.value)
    if block is None:
        _parameters(job, top.value)
    else:
        _take_block(job, block, is_terraform="resource" in top.value)
    return job


def _flags_file(job: Job, flags: Mapping[str, Marked]) -> Job:
    for name, each in flags.items():
        if name == "--parameters" and isinstance(each.value, dict):
            _parameters(job, each.value)
        else:
            gcloud.from_flags(job, [(name, _plain(each), each.line)])
    return job


def _block(job: Job, values: Mapping[str, Marked]) -> Mapping[str, Marked] | None:
    """Return the map that has the template's path and its parameters; None if this is neither."""
    for name in ("launchParameter", "launch_parameter"):
        if name in values:
            return _map(job, values[name])
    if "resource" in values:
        return _resource(job, values["resource"])
    for name in _SHOWN:
        if name in values:
            return _only(job, values[name], list(_shown(values[name])))
    parameters = values.get("parameters")
    if parameters is not None and isinstance(parameters.value, dict):
        return values
    return values if any(_camel(name) in _TEMPLATE for name in values) else None


def _resource(job: Job, resource: Marked) -> Mapping[str, Marked]:
    blocks = [
        _single(named)
        for kind, jobs in _map(job, resource).items()
        if kind in _RESOURCES
        for named in _map(job, _single(jobs)).values()
    ]
    return _only(job, resource, blocks)


def _shown(each: Marked) -> Iterator[Marked]:
    """Yield the values of jobs of templates, in whatever module they are."""
    if isinstance(each.value, list):
        for item in each.value:
            yield from _shown(item)
    if not isinstance(each.value, dict):
        return
    kind, values = each.value.get("type"), each.value.get("values")
    if kind is not None and kind.value in _RESOURCES and values is not None:
        yield values
        return
    for part in each.value.values():
        yield from _shown(part)


def _only(job: Job, holder: Marked, blocks: list[Marked]) -> Mapping[str, Marked]:
    if len(blocks) != 1:
        raise ConfigError(
            f"{job.path}:{holder.line}", None,
            f"has {len(blocks)} jobs of templates, and must have one",
            f"Leave one of {' or '.join(_RESOURCES)}",
        )  # fmt: skip
    return _map(job, blocks[0])


def _single(each: Marked) -> Marked:
    """Return what stands alone in a list: Terraform writes blocks with it or without."""
    one = isinstance(each.value, list) and len(each.value) == 1
    return each.value[0] if one else each


def _take_block(job: Job, block: Mapping[str, Marked], *, is_terraform: bool) -> None:
    for written, each in block.items():
        name = _camel(written)
        if each.value is None:
            continue
        if name in _TEMPLATE:
            job.template = Given(each.value, job.path, each.line)
        elif name == "parameters":
            _parameters(job, _map(job, each), is_terraform=is_terraform)
        elif name == "environment":
            for field, setting in _map(job, each).items():
                _set(job, _camel(field), setting)
        elif name in _JOB:
            if not _TERRAFORM.search(str(each.value)):
                setattr(job, _JOB[name], Given(escaped(str(each.value)), job.path, each.line))
        elif name not in _PASSED_OVER:
            _set(job, name, each)


def _set(job: Job, name: str, each: Marked) -> None:
    gcloud.set_environment(job, _ENVIRONMENT.get(name, name), _plain(each), each.line)


def _plain(each: Marked) -> Any:
    """Return the value of a flag or setting; texts are what they are."""
    value = each.plain()
    return escaped(value) if isinstance(value, str) else value


def _parameters(
    job: Job, values: Mapping[str, Marked], *, is_terraform: bool = False
) -> None:  # fmt: skip
    for name, text, line in _texts(job, values):
        if is_terraform and _TERRAFORM.search(text):
            raise ConfigError(
                f"{job.path}:{line}: {name}", text, "has an expression of Terraform",
                "Write its value",
            )  # fmt: skip
        plain = text.replace("$${", "${") if is_terraform else text
        job.parameters[name] = Given(escaped(plain), job.path, line)


def _texts(job: Job, values: Mapping[str, Marked]) -> Iterator[tuple[str, str, int]]:
    for name, each in values.items():
        if isinstance(each.value, dict | list):
            raise ConfigError(
                f"{job.path}:{each.line}: {name}", None, "must be a single value",
                "Write it as a text",
            )  # fmt: skip
        if isinstance(each.value, bool):
            yield name, str(each.value).lower(), each.line
        elif each.value is not None:
            yield name, str(each.value), each.line


def _map(job: Job, each: Marked) -> Mapping[str, Marked]:
    if not isinstance(each.value, dict):
        raise ConfigError(
            f"{job.path}:{each.line}", None, "must be a map of names and values", "Write it as one"
        )
    return each.value


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(part.title() for part in others)
