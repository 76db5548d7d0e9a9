"""Datasets and tables: made, changed, dropped; each change is durable when its call returns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from connectors.bigquery_local.errors import Code, Refusal, StorageCode
from connectors.bigquery_local.names import TableName, check_id
from connectors.bigquery_local.schema import Field, Schema, by_name
from connectors.bigquery_local.state import State, new_uid
from connectors.bigquery_local.tables import Table, new_table, updated_table

__all__ = ["Catalog"]

_HIDDEN = ("_server", "information_schema", "pg_catalog")


class Catalog:
    """The resources of the REST API.

    Args:
        state: of the server.
    """

    def __init__(self, state: State) -> None:
        self._state = state

    def create_dataset(self, project: str, resource: Mapping[str, Any]) -> dict[str, Any]:
        """Make a dataset and return its resource."""
        state = self._state
        dataset = str((resource.get("datasetReference") or {}).get("datasetId", ""))
        check_id("dataset", dataset)
        if dataset.lower() in _HIDDEN:
            raise Refusal(Code.INVALID_ARGUMENT, f"The dataset name {dataset} is taken by DuckDB.")
        with state.lock:
            if (project, dataset) in state.datasets:
                raise Refusal(Code.ALREADY_EXISTS, f"Already Exists: Dataset {project}:{dataset}")
            self._check_case(dataset, [d for p, d in state.datasets if p == project])
            now = str(state.clock() // 1_000)
            body = {
                **resource,
                "kind": "bigquery#dataset",
                "id": f"{project}:{dataset}",
                "datasetReference": {"projectId": project, "datasetId": dataset},
                "location": resource.get("location") or "US",
                "etag": new_uid(),
                "creationTime": now,
                "lastModifiedTime": now,
            }
            with state.store.transaction():
                state.store.create_schema(project, dataset)
                state.store.save("dataset", body["id"], body)
            state.datasets[project, dataset] = body
            return body

    def dataset(self, project: str, dataset: str) -> dict[str, Any]:
        """Return the resource of a dataset."""
        found = self._state.datasets.get((project, dataset))
        if found is None:
            raise Refusal(Code.NOT_FOUND, f"Not found: Dataset {project}:{dataset}")
        return found

    def datasets(self, project: str) -> list[dict[str, Any]]:
        """Return the datasets of a project, by name."""
        with self._state.lock:
            items = sorted(self._state.datasets.items())
        return [body for (owner, _), body in items if owner == project]

    def update_dataset(
        self, project: str, dataset: str, patch: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Change the metadata of a dataset."""
        state = self._state
        with state.lock:
            own = ("kind", "id", "datasetReference", "etag", "creationTime", "location")
            changed = self.dataset(project, dataset) | {
                key: value for key, value in patch.items() if key not in own
            }
            changed |= {"lastModifiedTime": str(state.clock() // 1_000), "etag": new_uid()}
            with state.store.transaction():
                state.store.save("dataset", changed["id"], changed)
            state.datasets[project, dataset] = changed
            return changed

    def drop_dataset(self, project: str, dataset: str, *, contents: bool) -> None:
        """Drop a dataset; with tables only where ``contents`` says so."""
        state = self._state
        with state.lock:
            self.dataset(project, dataset)
            names = [n for n in state.tables if (n.project, n.dataset) == (project, dataset)]
            if names and not contents:
                raise Refusal(Code.INVALID_ARGUMENT, f"Dataset {project}:{dataset} is still in use")
            for name in names:
                self.drop_table(name)
            with state.store.transaction():
                state.store.drop_schema(project, dataset)
                state.store.forget("dataset", f"{project}:{dataset}")
            del state.datasets[project, dataset]

    def create_table(self, project: str, dataset: str, resource: Mapping[str, Any]) -> Table:
        """Make a table."""
        state = self._state
        table_id = str((resource.get("tableReference") or {}).get("tableId", ""))
        check_id("table", table_id)
        name = TableName(project, dataset, table_id)
        with state.lock:
            parent = self.dataset(project, dataset)
            if name in state.tables:
                raise Refusal(Code.ALREADY_EXISTS, f"Already Exists: Table {name.legacy}")
            self._check_case(
                table_id, [n.table for n in state.tables if n[:2] == (project, dataset)]
            )
            now = state.clock()
            resource = _expiring(resource, parent, now)
            table = new_table(name, resource, new_uid(), now)
            with state.store.transaction():
                state.store.create(name, table.schema)
                state.save_table(table)
            state.tables[name] = table
            return table

    def table(self, name: TableName) -> Table:
        """Return a table.

        Raises:
            Refusal: NOT_FOUND.
        """
        found = self._state.tables.get(name)
        if found is None:
            raise Refusal(
                Code.NOT_FOUND,
                f"Not found: Table {name.legacy}",
                storage=StorageCode.TABLE_NOT_FOUND,
            )
        return found

    def tables(self, project: str, dataset: str) -> list[Table]:
        """Return the tables of a dataset, by name."""
        with self._state.lock:
            self.dataset(project, dataset)
            found = sorted(self._state.tables.items())
        return [table for name, table in found if name[:2] == (project, dataset)]

    def update_table(
        self, name: TableName, patch: Mapping[str, Any], *, whole: bool = False, etag: str = ""
    ) -> Table:
        """Change columns and metadata of a table.

        Args:
            name: of the table.
            patch: its resource, in part.
            whole: metadata that the patch lacks is dropped.
            etag: refuse where the table changed since it had this; empty is no condition.
        """
        state = self._state
        with state.lock:
            table = self.table(name)
            if etag and etag != table.resource()["etag"]:
                raise Refusal(Code.FAILED_PRECONDITION, f"Precondition failed: {name.legacy}")
            changed = updated_table(table, patch, state.clock(), whole=whole)
            with state.store.transaction():
                self._alter(name, table.schema, changed.schema)
                state.save_table(changed)
            state.tables[name] = changed
            return changed

    def drop_table(self, name: TableName) -> None:
        """Drop a table with its rows and its streams."""
        state = self._state
        with state.lock:
            table = self.table(name)
            streams = [s.name for s in state.streams.values() if s.table == table.uid]
            with state.store.transaction():
                state.store.drop(name)
                state.store.forget("table", str(name))
                for stream in streams:
                    state.store.forget("stream", stream)
                    state.store.unstage(stream)
            del state.tables[name]
            for stream in streams:
                del state.streams[stream]

    def count(self, name: TableName) -> int:
        """Return the number of rows of a table."""
        with self._state.lock:
            self.table(name)
            cursor = self._state.store.cursor()
            try:
                relation = self._state.store.relation(name)
                sql = f"SELECT count(*) FROM {relation}"  # noqa: S608 - the name is quoted
                return int(cursor.execute(sql).fetchone()[0])
            finally:
                cursor.close()

    def _alter(self, name: TableName, old: Schema, new: Schema) -> None:
        store = self._state.store
        known = by_name(old)
        for field in new:
            before = known.get(field.name.lower())
            if before is None:
                store.add(name, (), field)
            elif _grew(before, field):
                if _in_arrays(before):
                    store.retype(name, field)
                else:
                    for path, child in _additions(before, field, (before.name,)):
                        store.add(name, path, child)

    def _check_case(self, name: str, others: list[str]) -> None:
        same = [other for other in others if other.lower() == name.lower()]
        if same:
            raise Refusal(
                Code.ALREADY_EXISTS,
                f"{name} differs only in case from {same[0]}: BigQuery keeps them apart, DuckDB, "
                "where the rows of this server are, does not.",
            )


def _expiring(
    resource: Mapping[str, Any], dataset: Mapping[str, Any], now_us: int
) -> Mapping[str, Any]:
    age_ms = dataset.get("defaultTableExpirationMs")
    if not age_ms or "expirationTime" in resource:
        return resource
    return {**resource, "expirationTime": str(now_us // 1_000 + int(age_ms))}


def _grew(old: Field, new: Field) -> bool:
    known = by_name(old.fields)
    return any(
        child.name.lower() not in known or _grew(known[child.name.lower()], child)
        for child in new.fields
    )


def _in_arrays(field: Field) -> bool:
    return field.mode == "REPEATED" or any(_in_arrays(child) for child in field.fields)


def _additions(
    old: Field, new: Field, path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], Field]]:
    known = by_name(old.fields)
    for child in new.fields:
        before = known.get(child.name.lower())
        if before is None:
            yield path, child
        else:
            yield from _additions(before, child, (*path, before.name))
