"""gcloud's command that runs a template, and its files of flags, as a job."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pipelines.params import ConfigError
from templates.google.job import Given, Job
from templates.google.options import EXPERIMENTS
from templates.google.shell_words import Word, commands

__all__ = ["ENVIRONMENT", "from_flags", "from_script", "is_script", "pairs"]

_RUNS = (("flex-template", "run"), ("jobs", "run"))
_JOB = {
    "template-file-gcs-location": "template",
    "gcs-location": "template",
    "project": "project",
    "region": "region",
}
ENVIRONMENT = {
    "additional-experiments": "additionalExperiments",
    "additional-pipeline-options": "additionalPipelineOptions",
    "additional-user-labels": "additionalUserLabels",
    "dataflow-kms-key": "kmsKeyName",
    "disable-public-ips": "ipConfiguration",
    "enable-streaming-engine": "enableStreamingEngine",
    "flexrs-goal": "flexrsGoal",
    "launcher-machine-type": "launcherMachineType",
    "max-workers": "maxWorkers",
    "network": "network",
    "num-workers": "numWorkers",
    "service-account-email": "serviceAccountEmail",
    "staging-location": "stagingLocation",
    "subnetwork": "subnetwork",
    "temp-location": "tempLocation",
    "worker-machine-type": "machineType",
    "worker-region": "workerRegion",
    "worker-zone": "workerZone",
}
_LISTS = ("additional-experiments", "additional-pipeline-options", "additional-user-labels")
_SWITCHES = ("disable-public-ips", "enable-streaming-engine", "update", "quiet", "async")


def is_script(text: str) -> bool:
    """Tell whether a text has gcloud's command, and so is no map of parameters."""
    lines = (line.strip() for line in text.splitlines())
    return any(line.startswith(("gcloud ", "$ gcloud ", "#!")) for line in lines)


def from_script(text: str, path: Path) -> Job:
    """Return the job of the command in a script.

    Raises:
        ConfigError: there is no such command, or more than one, or it can't be read.
    """
    prompted = "\n".join(line.removeprefix("$ ") for line in text.splitlines())
    found = [each for each in commands(prompted, path) if _is_run(each)]
    if len(found) != 1:
        raise ConfigError(
            str(path), None, f"has {len(found)} commands that run a template, and must have one",
            "Leave gcloud dataflow flex-template run, or jobs run, once",
        )  # fmt: skip
    words = found[0]
    job = Job(path)
    flags, others = _told_apart(list(_after_run(words)))
    for name, word in flags:
        _refuse_computed(word, path)
        take(job, name, word.text, word.line)
    _take_name(job, others)
    return job


def from_flags(job: Job, flags: Sequence[tuple[str, Any, int]]) -> Job:
    """Return the job with what flags of a file say: names with ``--``, values and lines."""
    for name, value, line in flags:
        take(job, name.removeprefix("--"), value, line)
    return job


def _is_run(words: Sequence[Word]) -> bool:
    texts = [word.text for word in words]
    return texts[:1] == ["gcloud"] and "dataflow" in texts and bool(list(_after_run(words)))


def _after_run(words: Sequence[Word]) -> Iterator[Word]:
    for place, (one, other) in enumerate(itertools.pairwise(words)):
        if (one.text, other.text) in _RUNS:
            yield from words[place + 2 :]


def _told_apart(words: Sequence[Word]) -> tuple[list[tuple[str, Word]], list[Word]]:
    """Return names of flags with their values, and the words that belong to none."""
    flags, others = [], []
    waiting = list(reversed(words))
    while waiting:
        word = waiting.pop()
        if not word.text.startswith("--"):
            others.append(word)
            continue
        name, separator, text = word.text[2:].partition("=")
        value = word._replace(text=text)
        has_value = name not in _SWITCHES and not name.startswith("no-") and not separator
        if has_value and waiting and not waiting[-1].text.startswith("--"):
            value = waiting.pop()
        flags.append((name, value))
    return flags, others


def _refuse_computed(word: Word, path: Path) -> None:
    if word.computed is not None:
        raise ConfigError(
            f"{path}:{word.computed}", None, "has something that a shell would have to compute",
            "Write what comes out of it",
        )  # fmt: skip


def _take_name(job: Job, words: Sequence[Word]) -> None:
    """Take the name of the job, the one word that belongs to no flag."""
    for place, word in enumerate(words):
        if place or "=" in word.text:
            raise ConfigError(
                f"{job.path}:{word.line}", word.text, "belongs to no flag",
                "Remove the blank before it, quote the whole value, or leave the word out",
            )  # fmt: skip
        job.name = Given(None if word.computed else word.text, job.path, word.line)


def take(job: Job, name: str, value: Any, line: int) -> None:
    """Take what a flag says into a job; flags of other things are passed over.

    Raises:
        ConfigError: it is none of the forms that the flag may have.
    """
    if name == "parameters":
        for key, text in _map(value, job.path, line):
            job.parameters[key] = Given(text, job.path, line)
    elif name in _JOB:
        setattr(job, _JOB[name], Given(value, job.path, line))
    elif name in ENVIRONMENT:
        set_environment(job, ENVIRONMENT[name], _setting(name, value, job.path, line), line)


def _setting(name: str, value: Any, path: Path, line: int) -> Any:
    if name == "disable-public-ips":
        return "WORKER_IP_PRIVATE" if str(value).lower() in ("", "true") else ""
    if name in _SWITCHES:
        return str(value).lower() or "true"
    if name in _LISTS and isinstance(value, str):
        return _parts(value, path, line)
    return value


def set_environment(job: Job, key: str, value: Any, line: int) -> None:
    """Set a field of a job's environment; an experiment may stand for a streaming mode.

    Raises:
        ConfigError: the value is neither single, nor some.
    """
    _check_setting(job, key, value, line)
    if key == "additionalExperiments":
        names = [str(each) for each in (value if isinstance(value, list) else [value])]
        for name in names:
            if name in EXPERIMENTS:
                job.environment["streamingMode"] = Given(EXPERIMENTS[name], job.path, line)
        before = job.environment.get(key)
        others = [name for name in names if name and name not in EXPERIMENTS]
        value = [*(before.value if before else []), *others]
    if value not in ("", [], {}, None):
        job.environment[key] = Given(value, job.path, line)


def _check_setting(job: Job, key: str, value: Any, line: int) -> None:
    parts = value if isinstance(value, list) else [value]
    if isinstance(value, dict) and key == "additionalUserLabels":
        parts = list(value.values())
    if any(isinstance(each, dict | list) for each in parts):
        raise ConfigError(
            f"{job.path}:{line}: {key}", None, "must be a single value, or a list of such",
            "Write it as the API has it",
        )  # fmt: skip


def _map(value: Any, path: Path, line: int) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        yield from value.items()
        return
    for each in value if isinstance(value, list) else [value]:
        if isinstance(each, dict):
            yield from each.items()
        else:
            yield from pairs(str(each), path, line)


def pairs(text: str, path: Path, line: int) -> Iterator[tuple[str, str]]:
    """Yield names and values of ``a=b,c=d``, or of ``^~^a=b~c=d`` with a sign of its own.

    Raises:
        ConfigError: a part has no name.
    """
    for part in _parts(text, path, line):
        name, separator, value = part.partition("=")
        if not separator or not name:
            raise ConfigError(
                f"{path}:{line}: --parameters", part, "must be NAME=VALUE",
                "Where a value has commas, begin with another sign: ^~^a=1,2~b=3",
            )  # fmt: skip
        yield name.strip(), value


def _parts(text: str, path: Path, line: int) -> list[str]:
    separator = ","
    if text.startswith("^"):
        separator, closed, text = text[1:].partition("^")
        if not closed or not separator:
            raise ConfigError(
                f"{path}:{line}", None, "has no ^ at the end of the sign between values",
                "Write for example ^~^a=1~b=2",
            )  # fmt: skip
    return [part for part in text.split(separator) if part]
