"""How Google's job was run, as flags of our ``launch``."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Any

from templates.catalogue import Template
from templates.google.importing import Left
from templates.google.job import Given, Job
from templates.launch.environment import FIELDS, Field

__all__ = ["launch_flags", "quoted"]

_FIELDS = {field.key: field for field in FIELDS}
_SYNONYMS = {
    ("autoscalingAlgorithm", "THROUGHPUT_BASED"): "AUTOSCALING_ALGORITHM_BASIC",
    ("autoscalingAlgorithm", "NONE"): "AUTOSCALING_ALGORITHM_NONE",
    ("flexrsGoal", "SPEED_OPTIMIZED"): "FLEXRS_SPEED_OPTIMIZED",
    ("flexrsGoal", "COST_OPTIMIZED"): "FLEXRS_COST_OPTIMIZED",
    ("ipConfiguration", "true"): "WORKER_IP_PUBLIC",
    ("ipConfiguration", "false"): "WORKER_IP_PRIVATE",
}
"""What options of Beam say for what the REST API says; ``usePublicIps`` is a switch."""
_OF_GOOGLE = {
    "sdkContainerImage": "it is the image of Google's template",
    "additionalPipelineOptions": "they are options of Beam for Java; see whether ours needs any",
}
_STREAMING = ("streamingMode", "enableStreamingEngine")
_BATCH = ("flexrsGoal",)
_AT_LEAST_ONCE = "STREAMING_MODE_AT_LEAST_ONCE"


def launch_flags(job: Job, template: Template) -> tuple[list[str], list[Left]]:
    """Return the flags for a launch of our template, and what is left out of them."""
    flags, left = [], []
    for name, given in (("project", job.project), ("region", job.region), ("job_name", job.name)):
        value = None if given is None else given.value
        if given is not None or name != "job_name":
            flags.append(f"--{name}={name.upper() if value is None else quoted(str(value))}")
    for key, given in job.environment.items():
        why = _why_not(key, given, template)
        if why:
            left.append(Left(given.place, key, why))
        else:
            flags += _flags(key, given.value)
    return flags, left


def _why_not(key: str, given: Given, template: Template) -> str:
    if key in _OF_GOOGLE:
        return _OF_GOOGLE[key]
    if key not in _FIELDS and key != "additionalUserLabels":
        return "launch has no such flag"
    if key in (_BATCH if template.streaming else _STREAMING):
        kind = "streams" if template.streaming else "ends, and does not stream"
        return f"{template.name} {kind}"
    if key == "streamingMode" and given.value == _AT_LEAST_ONCE and not template.at_least_once:
        return f"{template.name} keeps what it promises in exactly-once mode alone"
    return ""


def _flags(key: str, value: Any) -> Iterator[str]:
    if key == "additionalUserLabels":
        for name, text in _pairs(value):
            yield f"--label={quoted(f'{name}={text}')}"
        return
    field = _FIELDS[key]
    for each in value if isinstance(value, list) else [value]:
        text = _text(field, each)
        if field.switch and text == "true":
            yield f"--{field.name}"
        elif not field.switch and text:
            yield f"--{field.name}={quoted(text)}"


def _pairs(value: Any) -> list[tuple[str, str]]:
    if isinstance(value, dict):
        return list(value.items())
    texts = value if isinstance(value, list) else str(value).split(",")
    return [(name, text) for name, _, text in (str(each).partition("=") for each in texts)]


def _text(field: Field, value: Any) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    text = _SYNONYMS.get((field.key, text), text)
    words = {field.read("", word): word for word in field.choices}
    return words.get(text, text)


def quoted(text: str) -> str:
    """Return a text for a shell, whose variables are those that it refers to."""
    if "${env:" not in text:
        return shlex.quote(text.replace("$${", "${"))
    parts = re.split(r"\$\{env:(\w+)\}", text)
    plain = [re.sub(r'(["\\$`])', r"\\\1", part.replace("$${", "${")) for part in parts[::2]]
    variables = [f"${{{name}}}" for name in parts[1::2]] + [""]
    return '"' + "".join(f"{a}{b}" for a, b in zip(plain, variables, strict=True)) + '"'
