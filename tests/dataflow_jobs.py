"""Jobs as Dataflow keeps them: names, states that follow a script, messages, and refusals."""

from __future__ import annotations

import datetime as dt
import itertools
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from google.cloud import dataflow_v1beta3 as api

from tests.commands import ROOT

__all__ = ["ENDED", "Jobs", "KeptJob", "Refusal", "Said", "Step", "starts", "violation"]

ENDED = frozenset({"CANCELLED", "DONE", "DRAINED", "FAILED", "UPDATED"})
_START = dt.datetime(2026, 11, 23, 10, 0, tzinfo=dt.timezone.utc)


class Refusal(Exception):  # noqa: N818 - it is an answer of the service
    """An answer that is an error, in the form of Google's APIs."""

    def __init__(
        self, code: int, status: str, message: str, details: Sequence[dict[str, Any]] = ()
    ) -> None:
        super().__init__(message)
        self.code, self.status, self.message, self.details = code, status, message, details

    def body(self) -> bytes:
        """Return the JSON of it."""
        reason = re.sub("_(.)", lambda each: each[1].upper(), self.status.lower())
        one = {"message": self.message, "domain": "global", "reason": reason}
        error = {
            "code": self.code, "message": self.message, "status": self.status, "errors": [one],
            "details": list(self.details),
        }  # fmt: skip
        return json.dumps({"error": error}).encode()


class Said(NamedTuple):
    """A message of a job."""

    text: str
    importance: str = "JOB_MESSAGE_BASIC"


class Step(NamedTuple):
    """A state of a job, and what it says when it comes to it."""

    state: str
    said: tuple[Said, ...] = ()


def starts() -> list[Step]:
    """Return the script of a job that comes to run."""
    return [
        Step("QUEUED"),
        Step("PENDING", (Said("Worker configuration: n1-standard-2 in europe-west1-b."),)),
        Step("RUNNING", (Said("All workers have finished the startup processes."),)),
    ]


@dataclass
class KeptJob:
    """A job: each look at it takes it one step on.

    Attributes:
        id: of it.
        name: of it.
        script: of states to come; the last one stays.
        is_streaming: whether it can be drained.
        replaces: the job that it updates.
        options: of Beam, that it was built with.
        unlisted: lists that do not have it yet.
    """

    id: str
    name: str
    script: list[Step]
    is_streaming: bool = True
    replaces: KeptJob | None = None
    options: dict[str, str] = field(default_factory=dict)
    state: str = "QUEUED"
    messages: list[api.JobMessage] = field(default_factory=list)
    requested: list[str] = field(default_factory=list)
    unlisted: int = 0
    _clock: itertools.count[int] = field(default_factory=itertools.count)

    def is_listed(self) -> bool:
        """Whether a list has it; asked once for each."""
        self.unlisted -= 1
        return self.unlisted < 0

    def step(self) -> None:
        """Go to the next state."""
        if not self.script:
            return
        self.state, said = self.script.pop(0)
        for each in said:
            self.say(each)
        if self.state == "RUNNING" and self.replaces is not None:
            self.replaces.state, self.replaces.script = "UPDATED", []

    def say(self, said: Said) -> None:
        """Add a message."""
        number = next(self._clock)
        self.messages.append(
            api.JobMessage(
                id=f"{self.id}-{number}", time=_START + dt.timedelta(seconds=number),
                message_text=said.text, message_importance=said.importance,
            )
        )  # fmt: skip

    def ask(self, state: str) -> None:
        """Take a request for a state."""
        self.requested.append(state)
        if state == "DRAINED" and not self.is_streaming:
            raise Refusal(400, "FAILED_PRECONDITION", "Batch jobs can't be drained.")
        if state not in ("DRAINED", "CANCELLED") or self.state in ENDED:
            raise Refusal(400, "FAILED_PRECONDITION", f"can't go from {self.state} to {state}")
        going = "DRAINING" if state == "DRAINED" else "CANCELLING"
        self.script = [Step(going, (Said(f"{going.title()} the job."),)), Step(state)]

    def message(self, project: str, region: str, *, whole: bool = False) -> api.Job:
        """Return it as the API has it: a summary, or the whole."""
        told = {"sdk_pipeline_options": {"options": self.options}} if whole else None
        state = int(self.state) if self.state.isdigit() else f"JOB_STATE_{self.state}"
        return api.Job(
            id=self.id, name=self.name, project_id=project, location=region, environment=told,
            current_state=state, current_state_time=_START,
            type_="JOB_TYPE_STREAMING" if self.is_streaming else "JOB_TYPE_BATCH",
            replace_job_id=self.replaces.id if self.replaces else "",
        )  # fmt: skip


class Jobs:
    """All jobs, and the templates that there are.

    Attributes:
        specs: container specs by the places of their objects.
        classic: metadata of classic templates by the places of theirs.
        next_script: of the next job that is launched.
        knows_names: whether a list can be asked for the jobs of one name.
        unlisted: lists that do not have a job that was just launched.
    """

    def __init__(self) -> None:
        self.kept: list[KeptJob] = []
        self.specs: dict[str, dict[str, Any]] = {}
        self.classic: dict[str, dict[str, Any]] = {}
        self.next_script: list[Step] = starts()
        self.knows_names = True
        self.unlisted = 0

    def add_template(self, name: str, place: str) -> None:
        """Put the container spec of a template of the catalogue at a place."""
        text = (ROOT / "templates" / name / "container_spec.json").read_text()
        self.specs[place] = json.loads(text)

    def add(self, name: str, *script: Step, streaming: bool = True) -> KeptJob:
        """Keep a job that runs."""
        job = KeptJob(self._new_id(), name, list(script), streaming, state="RUNNING")
        self.kept.append(job)
        return job

    def _new_id(self) -> str:
        return f"2026-11-23_02_00_00-{10_000 + len(self.kept)}"

    def find(self, job_id: str) -> KeptJob:
        """Return a job."""
        for job in self.kept:
            if job.id == job_id:
                return job
        raise Refusal(404, "NOT_FOUND", f"(4bd1b8a3ea1b1f5c): Information about job {job_id} ...")

    def active(self, name: str) -> list[KeptJob]:
        """Return the jobs of a name, or of all if it is empty, that have not ended."""
        return [job for job in self.kept if job.state not in ENDED and name in ("", job.name)]

    def launch(self, request: api.LaunchFlexTemplateRequest) -> KeptJob | None:
        """Launch a job, or None if the request is only judged."""
        asked = request.launch_parameter
        _check_name(asked.job_name)
        spec = self.specs.get(asked.container_spec_gcs_path)
        if spec is None:
            raise _absent(asked.container_spec_gcs_path)
        _check_parameters(spec["metadata"]["parameters"], dict(asked.parameters))
        if request.validate_only:
            return None
        return self._started(asked, bool(spec["metadata"].get("streaming")))

    def classic_template(self, place: str) -> dict[str, Any]:
        """Return the metadata of a classic template."""
        if place not in self.classic:
            raise _absent(place)
        return self.classic[place]

    def launch_classic(self, place: str, asked: Any, *, judge: bool = False) -> KeptJob | None:
        """Launch a job of a classic template, or None if the request is only judged."""
        metadata = self.classic_template(place)
        _check_name(asked.job_name)
        _check_parameters(metadata.get("parameters", []), dict(asked.parameters))
        return None if judge else self._started(asked, bool(metadata.get("streaming")))

    def _started(self, asked: Any, is_streaming: bool) -> KeptJob:
        active = self.active(asked.job_name)
        if active and not asked.update:
            raise Refusal(
                409, "ALREADY_EXISTS",
                f"(78f666ea16e50f79): There is already an active job named {asked.job_name}. If "
                "you want to  submit a second job, try again by setting a different name.",
            )  # fmt: skip
        if asked.update and not active:
            raise Refusal(404, "NOT_FOUND", f"no job {asked.job_name} to update")
        job = KeptJob(self._new_id(), asked.job_name, self.next_script, is_streaming)
        job.replaces = active[0] if asked.update else None
        job.unlisted = self.unlisted
        self.kept.append(job)
        self.next_script = starts()
        return job


def _absent(place: str) -> Refusal:
    text = f"(78f666ea16e50f79): Unable to open template file: {place}."
    return Refusal(404, "NOT_FOUND", text)


def _check_name(name: str) -> None:
    if not re.fullmatch("[a-z]([-a-z0-9]{0,1022}[a-z0-9])?", name):
        raise Refusal(400, "INVALID_ARGUMENT", f"The job name {name!r} is invalid.")


def violation(parameter: str, description: str) -> dict[str, str]:
    """Return what is wrong with a parameter."""
    return {"parameter": parameter, "description": description}


def _check_parameters(declared: list[dict[str, Any]], given: dict[str, str]) -> None:
    by_name = {each["name"]: each for each in declared}
    found = [violation(name, "Unrecognized parameter") for name in given if name not in by_name]
    for name, one in by_name.items():
        if name not in given:
            if not one.get("isOptional"):
                found.append(violation(name, "Missing required parameter"))
        elif not all(re.search(regex, given[name]) for regex in one.get("regexes", ())):
            found.append(violation(name, f"Value does not match {one['regexes']}"))
    if found:
        kind = "type.googleapis.com/google.dataflow.v1beta3.InvalidTemplateParameters"
        details = [{"@type": kind, "parameterViolations": found}]
        text = "(a1b2c3d4e5f60718): The template parameters are invalid."
        raise Refusal(400, "INVALID_ARGUMENT", text, details)
