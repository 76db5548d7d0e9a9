"""Jobs and queries of the REST API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from connectors.bigquery_local import limits
from connectors.bigquery_local.errors import Code, Refusal
from connectors.bigquery_local.faults import Faults, strike_now
from connectors.bigquery_local.jobs import Jobs
from connectors.bigquery_local.reading import Rows
from connectors.bigquery_local.rest import Answer, Call, Route, route
from connectors.bigquery_local.results import page
from connectors.bigquery_local.schema_json import fields_to_json
from connectors.bigquery_local.uploads import Uploads, multipart

__all__ = ["job_routes"]

BASE = "/bigquery/v2/projects/{project}"
UPLOAD = "/upload/bigquery/v2/projects/{project}/jobs"


def job_routes(jobs: Jobs, faults: Faults) -> list[Route]:
    """Return the routes of jobs, queries and uploads."""
    handlers = _Jobs(jobs, faults)
    uploads = _Uploads(handlers)
    return [
        route("POST", BASE + "/jobs", handlers.insert),
        route("GET", BASE + "/jobs", handlers.list),
        route("GET", BASE + "/jobs/{job}", handlers.get),
        route("POST", BASE + "/jobs/{job}/cancel", handlers.cancel),
        route("POST", BASE + "/queries", handlers.query),
        route("GET", BASE + "/queries/{job}", handlers.results),
        route("POST", UPLOAD, uploads.begin),
        route("PUT", UPLOAD, uploads.proceed),
        route("POST", "/resumable" + UPLOAD, uploads.begin),
        route("PUT", "/resumable" + UPLOAD, uploads.proceed),
    ]


class _Jobs:
    def __init__(self, jobs: Jobs, faults: Faults) -> None:
        self._jobs, self._faults = jobs, faults

    def insert(self, call: Call, project: str) -> Answer:
        return self.run(project, call.json())

    def run(self, project: str, resource: Mapping[str, Any], media: bytes | None = None) -> Answer:
        """Insert a job, whichever way its file came."""
        name = str((resource.get("jobReference") or {}).get("jobId", ""))
        fault = self._faults.strike("jobs.insert", name)
        strike_now(fault, after=False)
        job = self._jobs.insert(project, resource, media)
        strike_now(fault, after=True)
        return Answer(job)

    def list(self, _call: Call, project: str) -> Answer:
        return Answer({"kind": "bigquery#jobList", "jobs": self._jobs.jobs(project)})

    def get(self, _call: Call, project: str, job: str) -> Answer:
        return Answer(self._jobs.get(project, job))

    def cancel(self, _call: Call, project: str, job: str) -> Answer:
        return Answer({"kind": "bigquery#jobCancelResponse", "job": self._jobs.get(project, job)})

    def query(self, call: Call, project: str) -> Answer:
        wanted = call.json()
        job = self._jobs.insert(project, {"configuration": {"query": wanted}})
        name = job["jobReference"]["jobId"]
        rows = self._jobs.results(project, name)
        form = wanted.get("formatOptions") or {}
        size = int(wanted.get("maxResults") or limits.PAGE_ROWS_MAX)
        micros = bool(form.get("useInt64Timestamp"))
        return Answer(_response("bigquery#queryResponse", job, rows, _Page(0, size, micros)))

    def results(self, call: Call, project: str, job: str) -> Answer:
        rows = self._jobs.results(project, job)
        start = call.whole("pageToken", call.whole("startIndex", 0))
        size = call.whole("maxResults", limits.PAGE_ROWS_MAX)
        micros = call.flag("formatOptions.useInt64Timestamp")
        body = self._jobs.get(project, job)
        return Answer(
            _response("bigquery#getQueryResultsResponse", body, rows, _Page(start, size, micros))
        )


class _Page(NamedTuple):
    start: int
    size: int
    micros: bool


def _response(kind: str, job: Mapping[str, Any], rows: Rows, wanted: _Page) -> dict[str, Any]:
    start, size = wanted.start, min(wanted.size, limits.PAGE_ROWS_MAX)
    total = rows.table.num_rows
    body = {
        "kind": kind,
        "schema": {"fields": fields_to_json(rows.schema)},
        "jobReference": job["jobReference"],
        "totalRows": str(total),
        "totalBytesProcessed": job["statistics"]["query"]["totalBytesProcessed"],
        "jobComplete": True,
        "cacheHit": False,
        "rows": page(rows.table.slice(start, size), rows.schema, micros=wanted.micros),
    }
    if start + size < total:
        body["pageToken"] = str(start + size)
    return body


class _Uploads:
    def __init__(self, jobs: _Jobs) -> None:
        self._jobs, self._uploads = jobs, Uploads()

    def begin(self, call: Call, project: str) -> Answer:
        kind = call.query.get("uploadType")
        if kind == "multipart":
            resource, media = multipart(call.headers.get("content-type", ""), call.body)
            return self._jobs.run(project, resource, media)
        if kind != "resumable":
            raise Refusal(Code.INVALID_ARGUMENT, f"uploadType {kind!r}: multipart or resumable.")
        upload = self._uploads.begin(call.json())
        location = (
            f"http://{call.headers['host']}{call.path}?uploadType=resumable&upload_id={upload}"
        )
        return Answer({}, headers={"Location": location, "X-GUploader-UploadID": upload})

    def proceed(self, call: Call, project: str) -> Answer:
        upload = call.query.get("upload_id", "")
        whole = self._uploads.add(upload, call.headers.get("content-range", ""), call.body)
        if whole is None:
            received = self._uploads.received(upload)
            headers = {"Range": f"bytes=0-{received - 1}"} if received else {}
            return Answer(status=308, headers=headers)
        return self._jobs.run(project, *whole)
