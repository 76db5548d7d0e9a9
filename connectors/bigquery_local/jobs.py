"""Jobs: queries and loads, run when they are inserted; an id is used once, for good.

A load's rows and its job's record are one commit: a client that repeats a load under the same id
learns that it was done (409 Already Exists), also after a crash of either side.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from connectors.bigquery_local.errors import Code, Refusal
from connectors.bigquery_local.json_rows import json_value
from connectors.bigquery_local.load import Loads
from connectors.bigquery_local.reading import Reading, Rows
from connectors.bigquery_local.rest import error_body
from connectors.bigquery_local.schema import Field
from connectors.bigquery_local.schema_json import field_kind, fields_to_json
from connectors.bigquery_local.state import State, new_uid

__all__ = ["Jobs"]

_RESULTS_MAX = 256
"""Results of queries that are kept for paging."""

Key = tuple[str, str]


class Jobs:
    """Runs jobs and remembers them.

    Args:
        state: of the server.
        reading: answers queries.
        loads: does loads.
    """

    def __init__(self, state: State, reading: Reading, loads: Loads) -> None:
        self._state, self._reading, self._loads = state, reading, loads
        self._running: set[Key] = set()
        self._jobs: dict[Key, dict[str, Any]] = {}
        for body in state.store.records("job").values():
            self._jobs[_key(body)] = body
        self._results: OrderedDict[Key, Rows] = OrderedDict()

    def insert(
        self, project: str, resource: Mapping[str, Any], media: bytes | None = None
    ) -> dict[str, Any]:
        """Run a job and return its resource; a job that failed says so in its status.

        Args:
            project: that the job belongs to.
            resource: with its configuration, and an id if the client chose one.
            media: the file that came with a load.

        Raises:
            Refusal: ALREADY_EXISTS, or the configuration is of no kind that is done here.
        """
        configuration = dict(resource.get("configuration") or {})
        kinds = [kind for kind in ("query", "load", "copy", "extract") if kind in configuration]
        if kinds not in (["query"], ["load"]):
            raise Refusal(Code.UNIMPLEMENTED, f"Jobs are query or load here, not {kinds}.")
        reference = resource.get("jobReference") or {}
        key = (project, str(reference.get("jobId") or f"job_{new_uid()}"))
        job = self._begin(key, configuration, kinds[0])
        try:
            if kinds[0] == "query":
                self._query(key, job, project)
            else:
                self._load(key, job, project, media)
        finally:
            with self._state.lock:
                self._running.discard(key)
        return job

    def get(self, project: str, job: str) -> dict[str, Any]:
        """Return the resource of a job."""
        found = self._jobs.get((project, job))
        if found is None:
            raise Refusal(Code.NOT_FOUND, f"Not found: Job {project}:{job}")
        return found

    def jobs(self, project: str) -> list[dict[str, Any]]:
        """Return the jobs of a project, the newest first."""
        with self._state.lock:
            found = [job for key, job in self._jobs.items() if key[0] == project]
        return found[::-1]

    def results(self, project: str, job: str) -> Rows:
        """Return the rows of a query job.

        Raises:
            Refusal: there is no such job, it failed, or its rows are no longer kept.
        """
        body = self.get(project, job)
        if error := body["status"].get("errorResult"):
            raise Refusal(Code.INVALID_ARGUMENT, error["message"])
        rows = self._results.get((project, job))
        if rows is None:
            raise Refusal(Code.NOT_FOUND, f"Not found: the results of job {project}:{job}")
        return rows

    def _begin(self, key: Key, configuration: dict[str, Any], kind: str) -> dict[str, Any]:
        with self._state.lock:
            if key in self._jobs or key in self._running:
                raise Refusal(Code.ALREADY_EXISTS, f"Already Exists: Job {key[0]}:US.{key[1]}")
            self._running.add(key)
            now = str(self._state.clock() // 1_000)
        return {
            "kind": "bigquery#job",
            "id": f"{key[0]}:US.{key[1]}",
            "etag": new_uid(),
            "jobReference": {"projectId": key[0], "jobId": key[1], "location": "US"},
            "configuration": configuration | {"jobType": kind.upper()},
            "statistics": {"creationTime": now, "startTime": now},
            "status": {"state": "DONE"},
        }

    def _query(self, key: Key, job: dict[str, Any], project: str) -> None:
        wanted = job["configuration"]["query"]
        try:
            rows = self._select(wanted, project)
        except Refusal as refusal:
            _fail(job, refusal, "invalidQuery")
        else:
            job["statistics"]["query"] = {
                "statementType": "SELECT",
                "totalBytesProcessed": str(rows.table.nbytes),
                "cacheHit": False,
                "schema": {"fields": fields_to_json(rows.schema)},
            }
            with self._state.lock:
                self._results[key] = rows
                if len(self._results) > _RESULTS_MAX:
                    self._results.popitem(last=False)
        with self._state.lock:
            self._finish(key, job)

    def _select(self, wanted: Mapping[str, Any], project: str) -> Rows:
        for option in ("destinationTable", "dryRun"):
            if wanted.get(option):
                raise Refusal(Code.UNIMPLEMENTED, f"The option {option} is not supported here.")
        if wanted.get("useLegacySql"):
            raise Refusal(Code.UNIMPLEMENTED, "Legacy SQL is not supported here.")
        default = wanted.get("defaultDataset") or {}
        return self._reading.query(
            str(wanted.get("query", "")),
            default.get("projectId") or project,
            default.get("datasetId") or "",
            _parameters(wanted.get("queryParameters") or ()),
        )

    def _load(self, key: Key, job: dict[str, Any], project: str, media: bytes | None) -> None:
        try:
            loaded = self._loads.read(job["configuration"]["load"], project, media)
            with self._state.change():
                job["statistics"]["load"] = self._loads.write(loaded)
                self._finish(key, job)
        except Refusal as refusal:
            job["statistics"].pop("load", None)
            _fail(job, refusal, "invalid")
            with self._state.change():
                self._finish(key, job)

    def _finish(self, key: Key, job: dict[str, Any]) -> None:
        job["statistics"]["endTime"] = str(self._state.clock() // 1_000)
        with self._state.store.transaction():
            self._state.store.save("job", "/".join(key), job)
        self._jobs[key] = job


def _key(job: Mapping[str, Any]) -> Key:
    return job["jobReference"]["projectId"], job["jobReference"]["jobId"]


def _fail(job: dict[str, Any], refusal: Refusal, reason: str) -> None:
    item = error_body(refusal)[1]["error"]["errors"][0]
    error = {"reason": reason, "message": item["message"]}
    if refusal.code in (Code.NOT_FOUND, Code.ALREADY_EXISTS, Code.UNIMPLEMENTED):
        error["reason"] = item["reason"]
    job["status"] |= {"errorResult": error, "errors": [error]}


def _parameters(items: Any) -> list[Any] | dict[str, Any]:
    values = [_parameter(item) for item in items]
    if items and items[0].get("name"):
        return {item["name"]: value for item, value in zip(items, values, strict=True)}
    return values


def _parameter(item: Mapping[str, Any]) -> Any:
    kind, value = item["parameterType"], item.get("parameterValue") or {}
    try:
        if kind["type"] == "ARRAY":
            field = Field("parameter", field_kind(kind["arrayType"]["type"]))
            return [json_value(part.get("value"), field) for part in value.get("arrayValues", ())]
        return json_value(value.get("value"), Field("parameter", field_kind(kind["type"])))
    except (KeyError, ValueError) as error:
        raise Refusal(Code.INVALID_ARGUMENT, f"Invalid query parameter {item}: {error}") from None
