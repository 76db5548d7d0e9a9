"""The methods of Dataflow's REST API, with bodies and queries read as the API's own messages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from google.cloud import dataflow_v1beta3 as api
from google.protobuf import json_format

from tests.dataflow_jobs import Jobs, Refusal

__all__ = ["METHODS", "Request"]

_ALT = ("$alt", "alt")
_SWITCH = {"true": True, "false": False}


class Request(NamedTuple):
    """What was asked."""

    method: str
    path: str
    query: dict[str, str]
    body: dict[str, Any]
    headers: dict[str, str]


def _message(kind: Any, request: Request, names: dict[str, str], body: str = "*") -> Any:
    """Return a request's message; ``body`` is the field that the body is, ``*`` for all."""
    content: dict[str, Any] = {
        _camel({"project": "project_id", "region": "location"}.get(name, name)): value
        for name, value in names.items()
    }
    query = {name: value for name, value in request.query.items() if name not in _ALT}
    content |= {name: _SWITCH.get(value, value) for name, value in query.items()}
    content |= request.body if body == "*" else {body: request.body}
    try:
        return kind.wrap(json_format.ParseDict(content, kind.pb()()))
    except json_format.ParseError as error:
        text = f"Invalid JSON payload received. {error}"
        raise Refusal(400, "INVALID_ARGUMENT", text) from error


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(each.title() for each in others)


def _launch(jobs: Jobs, request: Request, names: dict[str, str]) -> Any:
    job = jobs.launch(_message(api.LaunchFlexTemplateRequest, request, names))
    found = job.message(names["project"], names["region"]) if job else None
    return api.LaunchFlexTemplateResponse(job=found)


def _list(jobs: Jobs, request: Request, names: dict[str, str]) -> Any:
    asked = _message(api.ListJobsRequest, request, names)
    if asked.filter != api.ListJobsRequest.Filter.ACTIVE:
        raise Refusal(501, "UNIMPLEMENTED", "only filter=ACTIVE is kept here")
    found = jobs.active(asked.name if jobs.knows_names else "")
    if not asked.page_token:
        found = [job for job in found if job.is_listed()]
    start = int(asked.page_token or 0)  # one on a page: whoever reads only the first, is found out
    more = str(start + 1) if len(found) > start + 1 else ""
    page = [job.message(names["project"], names["region"]) for job in found[start : start + 1]]
    return api.ListJobsResponse(jobs=page, next_page_token=more)


def _get(jobs: Jobs, request: Request, names: dict[str, str]) -> Any:
    asked = _message(api.GetJobRequest, request, names)
    job = jobs.find(asked.job_id)
    job.step()
    whole = asked.view == api.JobView.JOB_VIEW_ALL
    return job.message(names["project"], names["region"], whole=whole)


def _update(jobs: Jobs, request: Request, names: dict[str, str]) -> Any:
    asked = _message(api.UpdateJobRequest, request, names, "job")
    job = jobs.find(asked.job_id)
    job.ask(asked.job.requested_state.name.removeprefix("JOB_STATE_"))
    return job.message(names["project"], names["region"])


def _say(jobs: Jobs, request: Request, names: dict[str, str]) -> Any:
    asked = _message(api.ListJobMessagesRequest, request, names)
    found = jobs.find(asked.job_id).messages
    since = asked.start_time
    return api.ListJobMessagesResponse(
        job_messages=[each for each in found if since is None or each.time >= since]
    )


def _classic_get(jobs: Jobs, request: Request, names: dict[str, str]) -> Any:
    asked = _message(api.GetTemplateRequest, request, names)
    found = jobs.classic_template(asked.gcs_path)
    return api.GetTemplateResponse(
        metadata=json_format.ParseDict(found, api.TemplateMetadata.pb()()),
        template_type="LEGACY",
    )


def _classic_create(jobs: Jobs, request: Request, names: dict[str, str]) -> Any:
    asked = _message(api.CreateJobFromTemplateRequest, request, names)
    launched = api.LaunchTemplateParameters(job_name=asked.job_name, parameters=asked.parameters)
    job = jobs.launch_classic(asked.gcs_path, launched)
    return job.message(names["project"], names["region"])


def _classic_launch(jobs: Jobs, request: Request, names: dict[str, str]) -> Any:
    asked = _message(api.LaunchTemplateRequest, request, names, "launchParameters")
    job = jobs.launch_classic(asked.gcs_path, asked.launch_parameters, judge=asked.validate_only)
    found = job.message(names["project"], names["region"]) if job else None
    return api.LaunchTemplateResponse(job=found)


METHODS: list[tuple[str, str, Callable[[Jobs, Request, dict[str, str]], Any]]] = [
    ("POST", "/flexTemplates:launch", _launch),
    ("GET", "/templates:get", _classic_get),
    ("POST", "/templates", _classic_create),
    ("POST", "/templates:launch", _classic_launch),
    ("GET", "/jobs", _list),
    ("GET", "/jobs/(?P<job_id>[^/]+)", _get),
    ("PUT", "/jobs/(?P<job_id>[^/]+)", _update),
    ("GET", "/jobs/(?P<job_id>[^/]+)/messages", _say),
]
"""Method, path below the region, and what answers."""
