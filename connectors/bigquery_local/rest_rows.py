"""Rows of the REST API: tabledata.list and tabledata.insertAll."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from connectors.bigquery_local import dialect, limits
from connectors.bigquery_local.catalog import Catalog
from connectors.bigquery_local.errors import Code, Refusal
from connectors.bigquery_local.faults import Faults, strike_now
from connectors.bigquery_local.json_rows import Wrong, json_rows
from connectors.bigquery_local.names import TableName
from connectors.bigquery_local.reading import Reading
from connectors.bigquery_local.rest import Answer, Call, Route, route
from connectors.bigquery_local.results import page
from connectors.bigquery_local.state import State

__all__ = ["row_routes"]

TABLE = "/bigquery/v2/projects/{project}/datasets/{dataset}/tables/{table}"
_REMEMBERED_US = 60_000_000
"""How long an insertId is remembered: "up to one minute" in the service's own words."""


def row_routes(state: State, catalog: Catalog, reading: Reading, faults: Faults) -> list[Route]:
    """Return the routes of rows."""
    rows = _Rows(state, catalog, reading, faults)
    return [
        route("GET", TABLE + "/data", rows.data),
        route("POST", TABLE + "/insertAll", rows.insert),
    ]


class _Rows:
    def __init__(self, state: State, catalog: Catalog, reading: Reading, faults: Faults) -> None:
        self._state, self._catalog, self._reading = state, catalog, reading
        self._faults = faults
        self._seen = _InsertIds()

    def data(self, call: Call, project: str, dataset: str, table: str) -> Answer:
        name = TableName(project, dataset, table)
        schema = self._catalog.table(name).schema
        if selected := call.query.get("selectedFields"):
            wanted = {part.strip().split(".")[0].lower() for part in selected.split(",")}
            schema = tuple(field for field in schema if field.name.lower() in wanted)
        start = call.whole("pageToken", call.whole("startIndex", 0))
        size = min(call.whole("maxResults", limits.PAGE_ROWS_MAX), limits.PAGE_ROWS_MAX)
        micros = call.flag("formatOptions.useInt64Timestamp")
        total = self._catalog.count(name)
        body: dict[str, Any] = {"kind": "bigquery#tableDataList", "totalRows": str(total)}
        if schema:
            rows = self._reading.table(name, schema, start=start, limit=size)
            body["rows"] = page(rows.table, rows.schema, micros=micros)
        if start + size < total:
            body["pageToken"] = str(start + size)
        return Answer(body)

    def insert(self, call: Call, project: str, dataset: str, table: str) -> Answer:
        name = TableName(project, dataset, table)
        if len(call.body) > limits.INSERT_ALL_BYTES_MAX:
            raise Refusal(
                Code.INVALID_ARGUMENT,
                f"Request payload size exceeds the limit: {limits.INSERT_ALL_BYTES_MAX} bytes.",
            )
        fault = self._faults.strike("insertAll", str(name))
        strike_now(fault, after=False)
        errors = self._insert(name, call.json())
        strike_now(fault, after=True)
        body: dict[str, Any] = {"kind": "bigquery#tableDataInsertAllResponse"}
        return Answer(body | ({"insertErrors": errors} if errors else {}))

    def _insert(self, name: TableName, request: Mapping[str, Any]) -> list[dict[str, Any]]:
        if request.get("templateSuffix"):
            raise Refusal(Code.UNIMPLEMENTED, "templateSuffix is not supported here.")
        entries = _entries(request)
        with self._state.change():
            table = self._catalog.table(name)
            rows, wrong = json_rows(
                [entry["json"] for entry in entries],
                table.schema,
                ignore_unknown=bool(request.get("ignoreUnknownValues")),
            )
            if wrong and not request.get("skipInvalidRows"):
                return _insert_errors(wrong, len(entries))
            good = [entry for index, entry in enumerate(entries) if index not in wrong]
            ids = [str(entry.get("insertId") or "") for entry in good]
            fresh = self._seen.fresh(table.uid, ids, self._state.clock())
            defaults = {
                field.name: dialect.expression(field.default)
                for field in table.schema
                if field.default
            }
            taken = rows.take(pa.array(fresh, pa.int64()))
            filled = self._state.store.fill(taken, defaults, table.schema) if defaults else taken
            self._state.store.insert(name, filled)
        # Only now: had the rows not been written, their repetition must be.
        self._seen.remember(table.uid, ids, self._state.clock())
        return _insert_errors(wrong, 0)


def _entries(request: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    entries = request.get("rows") or ()
    if not entries:
        raise Refusal(Code.INVALID_ARGUMENT, "No rows present in the request.")
    if len(entries) > limits.INSERT_ALL_ROWS_MAX:
        raise Refusal(
            Code.INVALID_ARGUMENT,
            f"Too many rows present in the request, limit: {limits.INSERT_ALL_ROWS_MAX}.",
        )
    for entry in entries:
        if not isinstance(entry, Mapping) or not isinstance(entry.get("json"), Mapping):
            raise Refusal(Code.INVALID_ARGUMENT, "Each row must be an object with a field json.")
    return list(entries)


def _insert_errors(wrong: Mapping[int, Wrong], total: int) -> list[dict[str, Any]]:
    """Return the errors of bad rows; with a total also of those stopped because of them."""
    errors = []
    for index in sorted(set(wrong) | set(range(total))):
        if index in wrong:
            reason, (location, text) = "invalid", wrong[index]
        else:
            reason, location, text = "stopped", "", ""
        item = {"reason": reason, "location": location, "debugInfo": "", "message": text}
        errors.append({"index": index, "errors": [item]})
    return errors


class _InsertIds:
    """The insertIds of the last minute, in memory: the service promises best effort only."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: dict[str, dict[str, int]] = {}

    def fresh(self, table: str, ids: Sequence[str], now_us: int) -> list[int]:
        """Return the positions of ids that are empty, or new and the first of their kind."""
        found, new = [], set()
        with self._lock:
            known = self._recent(table, now_us - _REMEMBERED_US)
            for position, insert_id in enumerate(ids):
                if insert_id in known or insert_id in new:
                    continue
                if insert_id:
                    new.add(insert_id)
                found.append(position)
        return found

    def remember(self, table: str, ids: Sequence[str], now_us: int) -> None:
        """Keep ids whose rows were written."""
        with self._lock:
            known = self._seen.setdefault(table, {})
            for insert_id in filter(None, ids):
                known.setdefault(insert_id, now_us)

    def _recent(self, table: str, since_us: int) -> dict[str, int]:
        """Return the ids of a table, oldest first, without those of earlier times."""
        known = self._seen.get(table, {})
        while known and next(iter(known.values())) < since_us:
            del known[next(iter(known))]
        return known
