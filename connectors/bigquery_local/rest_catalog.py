"""The datasets and tables of the REST API."""

from __future__ import annotations

from typing import Any

from connectors.bigquery_local.catalog import Catalog
from connectors.bigquery_local.faults import Faults, strike_now
from connectors.bigquery_local.names import TableName
from connectors.bigquery_local.rest import Answer, Call, Handler, Route, route
from connectors.bigquery_local.tables import Table

__all__ = ["catalog_routes"]

BASE = "/bigquery/v2/projects/{project}/datasets"
_MIN_SHOWN = ("kind", "id", "tableReference", "type", "creationTime", "expirationTime",
              "timePartitioning", "rangePartitioning", "clustering", "labels")  # fmt: skip


def catalog_routes(catalog: Catalog, faults: Faults) -> list[Route]:
    """Return the routes of datasets and tables; ``get`` and tables' ``insert`` can have faults."""
    datasets, tables = _Datasets(catalog), _Tables(catalog)

    def struck(method: str, handler: Handler) -> Handler:
        def strike(call: Call, **segments: str) -> Answer:
            fault = faults.strike(method, ".".join(segments.values()))
            strike_now(fault, after=False)
            answer = handler(call, **segments)
            strike_now(fault, after=True)
            return answer

        return strike

    one, table = BASE + "/{dataset}", BASE + "/{dataset}/tables/{table}"
    return [
        route("GET", BASE, datasets.list),
        route("POST", BASE, datasets.insert),
        route("GET", one, struck("datasets.get", datasets.get)),
        route("PATCH", one, datasets.patch),
        route("PUT", one, datasets.patch),
        route("DELETE", one, datasets.delete),
        route("GET", one + "/tables", tables.list),
        route("POST", one + "/tables", struck("tables.insert", tables.insert)),
        route("GET", table, struck("tables.get", tables.get)),
        route("PATCH", table, tables.patch),
        route("PUT", table, tables.update),
        route("DELETE", table, tables.delete),
    ]


class _Datasets:
    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def list(self, _call: Call, project: str) -> Answer:
        keys = ("kind", "id", "datasetReference", "location", "labels", "friendlyName")
        items = [
            {key: body[key] for key in keys if key in body}
            for body in self._catalog.datasets(project)
        ]
        return Answer({"kind": "bigquery#datasetList", "datasets": items})

    def insert(self, call: Call, project: str) -> Answer:
        return Answer(self._catalog.create_dataset(project, call.json()))

    def get(self, _call: Call, project: str, dataset: str) -> Answer:
        return Answer(self._catalog.dataset(project, dataset))

    def patch(self, call: Call, project: str, dataset: str) -> Answer:
        return Answer(self._catalog.update_dataset(project, dataset, call.json()))

    def delete(self, call: Call, project: str, dataset: str) -> Answer:
        contents = call.flag("deleteContents")
        self._catalog.drop_dataset(project, dataset, contents=contents)
        return Answer(status=204)


class _Tables:
    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def list(self, _call: Call, project: str, dataset: str) -> Answer:
        tables = self._catalog.tables(project, dataset)
        items = [
            {key: value for key, value in table.resource().items() if key in _MIN_SHOWN}
            for table in tables
        ]
        return Answer({"kind": "bigquery#tableList", "tables": items, "totalItems": len(items)})

    def insert(self, call: Call, project: str, dataset: str) -> Answer:
        return self._answer(self._catalog.create_table(project, dataset, call.json()))

    def get(self, _call: Call, project: str, dataset: str, table: str) -> Answer:
        return self._answer(self._catalog.table(TableName(project, dataset, table)))

    def patch(self, call: Call, project: str, dataset: str, table: str) -> Answer:
        return self._update(call, TableName(project, dataset, table), whole=False)

    def update(self, call: Call, project: str, dataset: str, table: str) -> Answer:
        return self._update(call, TableName(project, dataset, table), whole=True)

    def delete(self, _call: Call, project: str, dataset: str, table: str) -> Answer:
        self._catalog.drop_table(TableName(project, dataset, table))
        return Answer(status=204)

    def _update(self, call: Call, name: TableName, *, whole: bool) -> Answer:
        etag = call.headers.get("if-match", "")
        return self._answer(self._catalog.update_table(name, call.json(), whole=whole, etag=etag))

    def _answer(self, table: Table) -> Answer:
        body: dict[str, Any] = table.resource()
        body["numRows"] = str(self._catalog.count(table.name))
        body["numBytes"] = "0"
        return Answer(body)
