"""Dataflow's REST API by Google's own client: launches, jobs, and what jobs say."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from connectors import retry
from connectors.clients import Endpoint
from connectors.reachable import unreachable
from pipelines.errors import TransientError
from pipelines.params import ConfigError
from templates.launch.errors import ENDPOINT, Asked, explained

__all__ = ["ENDPOINT", "Dataflow", "Target", "endpoint", "value_name"]

_GOOGLE = "https://dataflow.googleapis.com"
_TIMEOUT_S = 30.0
_LAUNCH_TIMEOUT_S = 120.0
_PATIENCE = retry.Backoff(first_s=0.5, limit_s=10.0, patience_s=60.0)

Result = TypeVar("Result")


def endpoint(environment: Mapping[str, str] = os.environ) -> str:
    """Return the URL of the API: Google's, or what the environment has in its place.

    Raises:
        ConfigError: the variable has no scheme.
    """
    found = environment.get(ENDPOINT, "").rstrip("/") or _GOOGLE
    if not found.startswith(("http://", "https://")):
        raise ConfigError(
            ENDPOINT, found, "must begin with http:// or https://", f"Write https://{found}/"
        )
    return found


@dataclass(frozen=True)
class Target:
    """Where jobs are: a project and a region, at an endpoint."""

    project: str
    region: str
    address: str = _GOOGLE

    @property
    def path(self) -> str:
        """The part of a URL that all methods share."""
        return f"{self.address}/v1b3/projects/{self.project}/locations/{self.region}"

    @property
    def launch_url(self) -> str:
        """Where a launch of a Flex template is posted to."""
        return f"{self.path}/flexTemplates:launch"

    def console_url(self, job_id: str) -> str:
        """Return the page of a job for people."""
        page = f"https://console.cloud.google.com/dataflow/jobs/{self.region}/{job_id}"
        return f"{page}?project={self.project}"


def value_name(value: Any) -> str:
    """Return the name of a value of an enumeration, as a text of its number if it has none here."""
    return str(getattr(value, "name", value))  # the service may be newer than the client


class Dataflow:
    """The jobs of a project in a region.

    Every call is tried again while its failure is transient, for a minute, but for ``launch``: to
    send one twice may start two jobs, see ``templates/launch/launched.py``.

    Args:
        target: where they are. Over ``http://`` no credentials are asked for, nor sent.
        backoff: of the calls; by default a minute of patience.

    Raises:
        ConfigError: the client is not installed, there are no credentials, or the service refuses
            what is asked; it names flag and fix.
        TransientError: the service did not answer in time.
    """

    def __init__(self, target: Target, backoff: retry.Backoff | None = None) -> None:
        self.target = target
        self.backoff = backoff or _PATIENCE
        self._api = _imported()
        more = _options(target)
        asked = Asked(target.project, target.region, target.address)
        try:
            self._templates = self._api.FlexTemplatesServiceClient(transport="rest", **more)
            self._jobs = self._api.JobsV1Beta3Client(transport="rest", **more)
            self._messages = self._api.MessagesV1Beta3Client(transport="rest", **more)
        except Exception as error:
            raise explained(error, asked) from error
        self._asked = asked

    def __enter__(self) -> Dataflow:
        return self

    def __exit__(self, *_: object) -> None:
        for client in (self._templates, self._jobs, self._messages):
            client.transport.close()

    def require_answer(self) -> None:
        """Refuse to begin where nobody answers: calls are patient, and would say so late.

        Raises:
            TransientError: nobody does.
        """
        reason = unreachable(Endpoint(self.target.address))
        if reason is not None:
            text = f"Dataflow does not answer at {self.target.address} ({reason})"
            raise TransientError(f"{text}. {self._asked.unreachable}")

    def launch(self, body: Mapping[str, Any]) -> Any:
        """Launch a Flex template, once; a request that is only judged is patient as others are.

        Args:
            body: of the REST method, without project and region.

        Returns:
            The ``Job`` that was made; without an id if the request was only judged.
        """
        place = {"projectId": self.target.project, "location": self.target.region}
        text = json.dumps({**body, **place})
        request = self._api.LaunchFlexTemplateRequest.from_json(text, ignore_unknown_fields=False)
        launched = body["launchParameter"]
        asked = self._asked.of(launched["jobName"], launched["containerSpecGcsPath"])
        call = self._templates.launch_flex_template
        send = self._patiently if body.get("validateOnly") else self._once
        return send(lambda: call(request, timeout=_LAUNCH_TIMEOUT_S), asked).job

    def active(self, name: str) -> list[Any]:
        """Return the jobs of a name that have not ended."""
        request = self._api.ListJobsRequest(
            project_id=self.target.project, location=self.target.region, name=name,
            filter=self._api.ListJobsRequest.Filter.ACTIVE,
        )  # fmt: skip
        found = self._patiently(
            lambda: list(self._jobs.list_jobs(request, timeout=_TIMEOUT_S)), self._asked.of(name)
        )
        # A server that does not know the field name gives all.
        return [job for job in found if job.name == name]

    def job(self, job_id: str) -> Any:
        """Return a job as it is now."""
        request = self._api.GetJobRequest(
            project_id=self.target.project, location=self.target.region, job_id=job_id
        )
        call = self._jobs.get_job
        return self._patiently(lambda: call(request, timeout=_TIMEOUT_S), self._asked.of(job_id))

    def options(self, job_id: str) -> dict[str, Any]:
        """Return the options of Beam that a job was built with; empty if it tells none."""
        request = self._api.GetJobRequest(
            project_id=self.target.project, location=self.target.region, job_id=job_id,
            view=self._api.JobView.JOB_VIEW_ALL,
        )  # fmt: skip
        call = self._jobs.get_job
        job = self._patiently(lambda: call(request, timeout=_TIMEOUT_S), self._asked.of(job_id))
        told = type(job).to_dict(job)["environment"] or {}
        return dict((told.get("sdk_pipeline_options") or {}).get("options") or {})

    def request_state(self, job_id: str, state: str) -> None:
        """Ask that a job goes into a state: ``JOB_STATE_DRAINED`` or ``JOB_STATE_CANCELLED``."""
        request = self._api.UpdateJobRequest(
            project_id=self.target.project, location=self.target.region, job_id=job_id,
            job=self._api.Job(requested_state=state),
        )  # fmt: skip
        call = self._jobs.update_job
        self._patiently(lambda: call(request, timeout=_TIMEOUT_S), self._asked.of(job_id))

    def messages(self, job_id: str, since: Any = None) -> list[Any]:
        """Return what a job has said that is of use to its user, the oldest first.

        Args:
            job_id: of the job.
            since: the time of a message; what was said before it is left out.
        """
        request = self._api.ListJobMessagesRequest(
            project_id=self.target.project, location=self.target.region, job_id=job_id,
            minimum_importance=self._api.JobMessageImportance.JOB_MESSAGE_BASIC, start_time=since,
        )  # fmt: skip
        call = self._messages.list_job_messages
        found = self._patiently(
            lambda: list(call(request, timeout=_TIMEOUT_S)), self._asked.of(job_id)
        )
        return sorted(found, key=lambda message: message.time)

    def _patiently(self, call: Callable[[], Result], asked: Asked) -> Result:
        return retry.call(lambda: self._once(call, asked), asked.subject, self.backoff)

    def _once(self, call: Callable[[], Result], asked: Asked) -> Result:
        try:
            return call()
        except Exception as error:
            raise explained(error, asked) from error


def _imported() -> Any:
    try:
        # A second of imports that only those pay who use it.
        from google.cloud import dataflow_v1beta3  # noqa: PLC0415
    except ImportError as error:
        raise ConfigError(
            "launch", None, "needs Dataflow's client, which is not installed",
            "Run pip install google-cloud-dataflow-client; --dry_run does without it",
        ) from error  # fmt: skip
    return dataflow_v1beta3


def _options(target: Target) -> dict[str, Any]:
    from google.auth.credentials import AnonymousCredentials  # noqa: PLC0415

    if target.address == _GOOGLE:
        return {}  # the client finds it, and that of another universe
    found: dict[str, Any] = {"client_options": {"api_endpoint": target.address}}
    if target.address.startswith("http://"):
        found["credentials"] = AnonymousCredentials()
    return found
