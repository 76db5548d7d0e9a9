"""How a job is run on Dataflow: flags that become a ``FlexTemplateRuntimeEnvironment``.

Flags have the names of its fields. What is not given is left out of the request, so that the
template's own ``defaultEnvironment``, and then the service, decide.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from pipelines.params import ConfigError
from templates.catalogue import Template
from templates.launch.errors import FlagsRefusedError
from templates.launch.labels import labels

__all__ = ["FIELDS", "LEFT_OUT", "Field", "add_flags", "environment"]

LEFT_OUT = {
    "zone": "worker_zone is its successor",
    "dump_heap_on_oom": "is about the heap of a Java virtual machine",
    "save_heap_dumps_to_gcs_path": "is about the heap of a Java virtual machine",
    "additional_user_labels": "is --label",
}
"""Fields without a flag of their name, and why."""

_WORKERS_MAX = 1000
_AT_LEAST_ONCE = "streaming_mode_at_least_once"
"""An experiment that is another way to ask for that mode, the one of gcloud."""


@dataclass(frozen=True)
class Field:
    """A field of the environment.

    Attributes:
        name: of the flag, and of the field in the messages of the API.
        help: for the user.
        read: makes the value for JSON of a text, or raises ConfigError.
        example: a value that would be accepted.
        choices: texts that there are, if they can be counted.
        many: whether the flag may be repeated.
        switch: whether the flag stands alone.
    """

    name: str
    help: str
    read: Callable[[str, str], Any]
    example: str = ""
    choices: tuple[str, ...] = ()
    many: bool = False
    switch: bool = False

    @property
    def key(self) -> str:
        """The name in JSON: ``numWorkers``."""
        first, *others = self.name.split("_")
        return first + "".join(part.title() for part in others)


def _number(minimum: int, maximum: int) -> Callable[[str, str], int]:
    def read(flag: str, text: str) -> int:
        if not re.fullmatch("[0-9]{1,9}", text) or not minimum <= int(text) <= maximum:
            rule = f"must be a whole number from {minimum:,} to {maximum:,}"
            raise ConfigError(flag, text, rule, f"Write for example {flag}={max(minimum, 3)}")
        return int(text)

    return read


def _text(pattern: str, rule: str, example: str) -> Callable[[str, str], str]:
    def read(flag: str, text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ConfigError(flag, text, rule, f"Write for example {flag}={example}")
        return text

    return read


def _one_of(values: dict[str, str]) -> Callable[[str, str], str]:
    def read(_flag: str, text: str) -> str:
        return values[text]  # argparse knows the choices

    return read


def _field(
    name: str, about: str, pattern: str, rule: str, example: str, *, many: bool = False
) -> Field:
    return Field(name, about, _text(pattern, rule, example), example, many=many)


def _chosen(name: str, about: str, **values: str) -> Field:
    return Field(name, about, _one_of(values), choices=tuple(values))


def _folder(name: str, about: str) -> Field:
    rule = "must be a folder gs://BUCKET/FOLDER"
    return _field(name, about, "gs://[^/ ]+(/.*)?", rule, "gs://my-bucket/dataflow")


def _machine(name: str, about: str) -> Field:
    rule = "must be a machine type of Compute Engine"
    return _field(name, about, "[a-z][a-z0-9]*(-[a-z0-9]+)+", rule, "n2-standard-4")


_REGION = "[a-z]+-[a-z]+[0-9]+"

FIELDS = (
    Field("num_workers", "workers at the start", _number(1, _WORKERS_MAX), "2"),
    Field("max_workers", "workers at most", _number(1, _WORKERS_MAX), "10"),
    _machine("machine_type", "of the workers"),
    _field(
        "service_account_email", "account of the workers, and of the machine that launches",
        r"[^@\s]+@[^@\s]+\.gserviceaccount\.com", "must be the address of a service account",
        "headrace@my-project.iam.gserviceaccount.com",
    ),
    _field(
        "network", "of the workers", r"[^\s]+", "must be the name of a network", "my-network",
    ),
    _field(
        "subnetwork", "of the workers",
        r"(https://[^\s]+/projects/[^/\s]+/)?regions/[^/\s]+/subnetworks/[^/\s]+",
        "must be regions/REGION/subnetworks/NAME, or with https://.../projects/HOST before it, as "
        "a shared network needs",
        "regions/europe-west1/subnetworks/my-subnetwork",
    ),
    _chosen(
        "ip_configuration", "whether workers have addresses of the internet",
        public="WORKER_IP_PUBLIC", private="WORKER_IP_PRIVATE",
    ),
    _field(
        "kms_key_name", "key by which the job's state is encrypted",
        "projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+",
        "must be projects/PROJECT/locations/REGION/keyRings/RING/cryptoKeys/KEY",
        "projects/my-project/locations/europe-west1/keyRings/ring/cryptoKeys/key",
    ),
    _folder("temp_location", "folder for temporary objects"),
    _folder("staging_location", "folder for what the launch makes, such as the job's graph"),
    Field("disk_size_gb", "disk of a worker in gigabytes", _number(1, 65_536), "50"),
    _field(
        "worker_region", "where the workers are, if not in the job's region",
        _REGION, "must be a region of Compute Engine", "europe-west1",
    ),
    _field(
        "worker_zone", "the same, down to the zone",
        f"{_REGION}-[a-z]+", "must be a zone of Compute Engine", "europe-west1-b",
    ),
    Field(
        "enable_streaming_engine", "keep state and shuffles out of the workers",
        lambda _flag, _text: True, switch=True,
    ),
    _chosen(
        "streaming_mode", "exactly_once, or at_least_once where the template permits it",
        exactly_once="STREAMING_MODE_EXACTLY_ONCE", at_least_once="STREAMING_MODE_AT_LEAST_ONCE",
    ),
    _chosen(
        "autoscaling_algorithm", "none keeps the number of workers",
        none="AUTOSCALING_ALGORITHM_NONE", basic="AUTOSCALING_ALGORITHM_BASIC",
    ),
    _chosen(
        "flexrs_goal", "cheaper or faster resources for a job that ends",
        speed="FLEXRS_SPEED_OPTIMIZED", cost="FLEXRS_COST_OPTIMIZED",
    ),
    _field(
        "sdk_container_image", "image of the workers, if not the template's",
        r"[^\s]+/[^\s]+", "must be an image with its registry",
        "europe-west1-docker.pkg.dev/my-project/headrace/worker:1.0",
    ),
    _machine("launcher_machine_type", "of the machine that launches"),
    Field(
        "enable_launcher_vm_serial_port_logging", "log what the machine that launches prints",
        lambda _flag, _text: True, switch=True,
    ),
    _field(
        "additional_experiments", "an experiment of Dataflow, may be repeated",
        r"[^\s,]+", "must be one name, or name=value", "enable_preflight_validation=false",
        many=True,
    ),
    _field(
        "additional_pipeline_options", "an option for Beam, NAME=VALUE, may be repeated",
        r"[A-Za-z_]\w*(=.*)?", "must be NAME=VALUE, without -- before it",
        "number_of_worker_harness_threads=4", many=True,
    ),
)  # fmt: skip
"""In the order of the help."""

_BATCH_ONLY = ("flexrs_goal",)
_STREAMING_ONLY = ("streaming_mode", "enable_streaming_engine")
_OF_LAUNCHER = frozenset({
    "runner", "project", "region", "job_name", "labels", "staging_location", "temp_location",
    "template_location", "streaming",
})  # fmt: skip


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add a flag for every field."""
    group = parser.add_argument_group("workers", "What is not given, the template decides.")
    for field in FIELDS:
        more: dict[str, Any] = {"action": "store_true"} if field.switch else {}
        if not field.switch:
            more = {"choices": field.choices} if field.choices else {"metavar": "VALUE"}
        if field.many:
            more["action"] = "append"
        note = f", such as {field.example}" if field.example else ""
        group.add_argument(f"--{field.name}", help=f"{field.help}{note}", **more)
    group.add_argument(
        "--label", action="append", metavar="KEY=VALUE", help="of the job; may be repeated"
    )


def environment(template: Template, options: argparse.Namespace) -> dict[str, Any]:
    """Return what the flags say, in the form of the REST API.

    Args:
        template: that is launched.
        options: with an attribute of each flag of ``add_flags``.

    Raises:
        FlagsRefusedError: values break their rules.
        ConfigError: a value contradicts another one, or is nothing for this template.
    """
    given = {field: value for field in FIELDS if (value := getattr(options, field.name))}
    _check_template(template, {field.name: value for field, value in given.items()})
    if broken := list(_broken(given, options.label or [])):
        raise FlagsRefusedError(broken)
    found = {field.key: _value(field, value) for field, value in given.items()}
    _check_together(found)
    found_labels = labels(options.label or [])
    return {**found, **({"additionalUserLabels": found_labels} if found_labels else {})}


def _broken(given: dict[Field, Any], label: list[str]) -> Iterator[ConfigError]:
    for field, value in given.items():
        yield from _errors(_value, field, value)
    yield from _errors(labels, label)


def _errors(read: Callable[..., object], *arguments: object) -> Iterator[ConfigError]:
    try:
        read(*arguments)
    except ConfigError as error:
        yield error


def _value(field: Field, given: Any) -> Any:
    flag = f"--{field.name}"
    if field.many:
        return [field.read(flag, each) for each in given]
    return field.read(flag, given)


def _check_template(template: Template, given: dict[str, Any]) -> None:
    ends_only = _BATCH_ONLY if template.streaming else ()
    for name in (*ends_only, *(() if template.may_stream else _STREAMING_ONLY)):
        if name in given:
            kind = "streams" if template.streaming else "ends, and does not stream"
            rule = f"is nothing for a job of {template.name}, which {kind}"
            raise ConfigError(f"--{name}", None, rule, "Leave it out")
    _check_mode(template, given.get("streaming_mode"), given.get("additional_experiments", ()))
    parameters = {spec.name for spec in template.parameters}
    for text in given.get("additional_pipeline_options", ()):
        name = text.partition("=")[0]
        if name in parameters | _OF_LAUNCHER:
            fix = f"Write {name} into the parameter file"
            if name in _OF_LAUNCHER:
                fix = "Leave it out: the launch gives it"
            rule = "is a parameter" if name in parameters else "is not yours to give"
            raise ConfigError("--additional_pipeline_options", text, rule, fix)


def _check_mode(template: Template, mode: str | None, experiments: Iterable[str]) -> None:
    if template.at_least_once and template.streaming:
        return
    why = (
        f"would break what {template.name} promises: there a step may see a row twice"
        if template.streaming
        else f"is nothing for a job of {template.name}, which ends"
    )
    fix = "Leave it out: a job runs in exactly-once mode then"
    if mode == "at_least_once":
        raise ConfigError("--streaming_mode", mode, why, fix)
    if _AT_LEAST_ONCE in experiments:
        raise ConfigError("--additional_experiments", _AT_LEAST_ONCE, why, fix)


def _check_together(found: dict[str, Any]) -> None:
    if "workerRegion" in found and "workerZone" in found:
        raise ConfigError(
            "--worker_zone", found["workerZone"], "excludes --worker_region",
            "Give one of the two: a zone names its region",
        )  # fmt: skip
    if found.get("numWorkers", 0) > found.get("maxWorkers", _WORKERS_MAX):
        raise ConfigError(
            "--num_workers", found["numWorkers"], f"is above --max_workers={found['maxWorkers']}",
            "Give a number that is not above it",
        )  # fmt: skip
