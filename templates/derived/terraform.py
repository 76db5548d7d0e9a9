"""A Terraform module per template: a variable for each parameter, and the job."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from pipelines.params import Spec
from templates.catalogue import Template
from templates.derived.parameter import help_text

__all__ = ["JOB_VARIABLES", "main_tf", "outputs_tf", "variables_tf"]

_PROVIDER = ">= 5.0"
_TYPES = {"boolean": "bool", "integer": "number", "number": "number"}
_HEAD = "# Made by python -m templates generate.\n"

JOB_VARIABLES = (
    ("project", "Project that the job runs in.", "string", True),
    ("region", "Region that the job runs in.", "string", True),
    ("job_name", "Name of the job.", "string", True),
    ("container_spec_gcs_path", "The template: gs://BUCKET/OBJECT.", "string", True),
    ("temp_location", "Folder for temporary objects.", "string", False),
    ("staging_location", "Folder for what workers are given.", "string", False),
    ("service_account_email", "Account of the workers.", "string", False),
    ("machine_type", "Of the workers.", "string", False),
    ("num_workers", "Workers at the start.", "number", False),
    ("max_workers", "Workers at most.", "number", False),
    ("network", "Network of the workers.", "string", False),
    ("subnetwork", "Subnetwork of the workers.", "string", False),
    ("labels", "Labels of the job.", "map(string)", False),
)


def main_tf(template: Template) -> str:
    """Return ``main.tf``: the provider that is needed, and the job."""
    given = [f"    {name} = var.{name}" for name, *_ in JOB_VARIABLES if name != "job_name"]
    given = [line.replace("    ", "  ", 1) for line in given]
    values = [f"    {spec.name} = {_text(spec)}" for spec in template.parameters]
    return (
        f"{_HEAD}"
        "terraform {\n  required_providers {\n    google-beta = {\n"
        '      source  = "hashicorp/google-beta"\n'
        f'      version = "{_PROVIDER}"\n    }}\n  }}\n}}\n'
        "\nlocals {\n  parameters = {\n"
        f"{_aligned(values)}\n  }}\n}}\n"
        '\nresource "google_dataflow_flex_template_job" "job" {\n'
        "  provider = google-beta\n\n"
        f"{_aligned(['  name = var.job_name', *given])}\n\n"
        f"  on_delete = {json.dumps('drain' if template.streaming else 'cancel')}\n\n"
        "  # Every value is a text; what is null stays out.\n"
        "  parameters = { for name, value in local.parameters : name => value if value != null }\n"
        "}\n"
    )


def outputs_tf() -> str:
    """Return ``outputs.tf``."""
    return (
        f'{_HEAD}output "job_id" {{\n'
        '  description = "Number of the job, by which Dataflow knows it."\n'
        "  value       = google_dataflow_flex_template_job.job.job_id\n}\n"
    )


def variables_tf(template: Template) -> str:
    """Return ``variables.tf``: of the job first, then of the pipeline."""
    job = (_variable(*each) for each in JOB_VARIABLES)
    own = (_parameter(spec) for spec in template.parameters)
    return _HEAD + "\n".join([*job, *own])


def _parameter(spec: Spec) -> str:
    kind_type = "list(string)" if spec.kind.separator else _TYPES.get(spec.kind.type, "string")
    return _variable(
        spec.name, help_text(spec), kind_type, spec.required, "\n".join(_validation(spec))
    )


def _validation(spec: Spec) -> Iterator[str]:
    pattern = spec.kind.cloud_pattern or spec.kind.pattern
    if spec.kind.separator or spec.kind.type != "string" or pattern in ("", "^.+$"):
        return
    match = f"can(regex({_string(pattern)}, var.{spec.name}))"
    condition = match if spec.required else f"var.{spec.name} == null || {match}"
    message = f"The {spec.name} must match {pattern}"
    yield "  validation {"
    yield f"    condition     = {condition}"
    yield f"    error_message = {_string(message)}"
    yield "  }"


def _variable(name: str, about: str, kind_type: str, required: bool, validation: str = "") -> str:
    lines = [f"  description = {_string(about)}", f"  type = {kind_type}"]
    lines += [] if required else ["  default = null"]
    end = f"\n{validation}\n" if validation else "\n"
    gap = "\n" if validation else ""
    return f'variable "{name}" {{\n{_aligned(lines)}{gap}{end}}}\n'


def _text(spec: Spec) -> str:
    """Return the expression of a parameter's text, null if it was not given."""
    name = f"var.{spec.name}"
    if spec.kind.separator:
        joined = f'join("{spec.kind.separator}", {name})'
        return joined if spec.required else f"{name} == null ? null : {joined}"
    if spec.kind.type == "string":
        return name
    return f"tostring({name})"


def _string(text: str) -> str:
    """Return a text as Terraform writes it: braces after ``$`` and ``%`` would mean more."""
    return re.sub(r"([$%])\{", r"\1\1{", json.dumps(text, ensure_ascii=False))


def _aligned(lines: list[str]) -> str:
    """Return assignments with their signs below each other, as ``terraform fmt`` has them."""
    pairs = [line.split(" = ", 1) for line in lines]
    width = max(len(name) for name, _ in pairs)
    return "\n".join(f"{name.ljust(width)} = {value}" for name, value in pairs)
