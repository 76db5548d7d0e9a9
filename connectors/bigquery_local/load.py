"""Load jobs: files to rows of a table, matched by column name, all of them or none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import pyarrow as pa

from connectors.bigquery_local import dialect
from connectors.bigquery_local.accepted import PARQUET
from connectors.bigquery_local.catalog import Catalog
from connectors.bigquery_local.errors import Code, Refusal, RowsRefused
from connectors.bigquery_local.files import Objects, json_lines, parquet, parquet_schema
from connectors.bigquery_local.json_rows import json_rows
from connectors.bigquery_local.matching import Defaults, match
from connectors.bigquery_local.names import TableName
from connectors.bigquery_local.schema import Schema, by_name
from connectors.bigquery_local.schema_json import fields_from_json, fields_to_json
from connectors.bigquery_local.state import State
from connectors.bigquery_local.tables import Table

__all__ = ["Loaded", "Loads"]

_PARQUET, _JSON = "PARQUET", "NEWLINE_DELIMITED_JSON"
_REFUSED = ("autodetect", "hivePartitioningOptions", "maxBadRecords", "decimalTargetTypes")


class Loaded(NamedTuple):
    """The files of a load, read.

    Args:
        name: of the table that they go to.
        wanted: the job's configuration.
        schema: that the job brings along, or that of its files; empty is neither.
        tables: rows of Parquet files.
        objects: rows of JSON files.
        files: how many.
        size: their bytes.
    """

    name: TableName
    wanted: Mapping[str, Any]
    schema: Schema
    tables: list[pa.Table]
    objects: list[dict[str, Any]]
    files: int
    size: int


class Loads:
    """Reads the files of load jobs and writes their rows.

    Args:
        state: of the server.
        catalog: of its tables.
        objects: of Cloud Storage.
    """

    def __init__(self, state: State, catalog: Catalog, objects: Objects) -> None:
        self._state, self._catalog, self._objects = state, catalog, objects

    def read(self, wanted: Mapping[str, Any], project: str, media: bytes | None) -> Loaded:
        """Read the files of a job; nothing changes.

        Args:
            wanted: the job's configuration.
            project: of a table without one.
            media: the file that came with the request, in place of URIs.

        Raises:
            Refusal: a file can't be read, or an option is not done here.
        """
        kind = wanted.get("sourceFormat") or "CSV"
        if kind not in (_PARQUET, _JSON):
            raise Refusal(Code.UNIMPLEMENTED, f"The source format {kind} is not supported here.")
        for option in _REFUSED:
            if wanted.get(option):
                raise Refusal(Code.UNIMPLEMENTED, f"The option {option} is not supported here.")
        name = _table_name(wanted, project)
        sources = [("upload", media)] if media is not None else self._fetch(wanted)
        schema = fields_from_json((wanted.get("schema") or {}).get("fields") or ())
        size = sum(len(data) for _, data in sources)
        if kind == _JSON:
            rows = [row for source, data in sources for row in json_lines(data, source)]
            return Loaded(name, wanted, schema, [], rows, len(sources), size)
        lists = bool((wanted.get("parquetOptions") or {}).get("enableListInference"))
        tables = [parquet(data, source, lists=lists) for source, data in sources]
        if not schema and tables:
            schema = parquet_schema(tables[0].schema, sources[0][0])
        return Loaded(name, wanted, schema, tables, [], len(sources), size)

    def write(self, loaded: Loaded) -> dict[str, str]:
        """Write the rows; the caller holds the lock and the transaction.

        Returns:
            The job's statistics.

        Raises:
            Refusal: the rows do not fit the table, or the table is not as the job wants it.
        """
        table = self._destination(loaded)
        rows = self._rows(loaded, table)
        for part in rows:
            self._state.store.insert(table.name, part)
        return {
            "inputFiles": str(loaded.files),
            "inputFileBytes": str(loaded.size),
            "outputRows": str(sum(part.num_rows for part in rows)),
            "outputBytes": str(sum(part.nbytes for part in rows)),
            "badRecords": "0",
        }

    def _fetch(self, wanted: Mapping[str, Any]) -> list[tuple[str, bytes]]:
        uris = wanted.get("sourceUris") or ()
        if not uris:
            raise Refusal(Code.INVALID_ARGUMENT, "A load job needs sourceUris or an upload.")
        return [found for uri in uris for found in self._objects.read(uri)]

    def _destination(self, loaded: Loaded) -> Table:
        name, wanted = loaded.name, loaded.wanted
        table = self._state.tables.get(name)
        if table is None:
            return self._created(loaded)
        disposition = wanted.get("writeDisposition") or "WRITE_APPEND"
        if disposition == "WRITE_EMPTY" and self._catalog.count(name):
            raise Refusal(Code.ALREADY_EXISTS, f"Already Exists: Table {name.legacy}")
        if disposition == "WRITE_TRUNCATE":
            if loaded.schema and loaded.schema != table.schema:
                about = dict(table.about)
                self._catalog.drop_table(name)
                return self._created(loaded, about)
            self._state.store.clear(name)
            return table
        if "ALLOW_FIELD_ADDITION" in (wanted.get("schemaUpdateOptions") or ()):
            known = by_name(table.schema)
            added = tuple(f for f in loaded.schema if f.name.lower() not in known)
            if added:
                patch = {"schema": {"fields": fields_to_json(table.schema + added)}}
                return self._catalog.update_table(name, patch)
        return table

    def _created(self, loaded: Loaded, about: Mapping[str, Any] | None = None) -> Table:
        wanted, name = loaded.wanted, loaded.name
        if wanted.get("createDisposition") == "CREATE_NEVER":
            raise Refusal(Code.NOT_FOUND, f"Not found: Table {name.legacy}")
        if not loaded.schema:
            raise Refusal(Code.INVALID_ARGUMENT, "No schema specified on job or table.")
        layout = {key: wanted[key] for key in ("timePartitioning", "clustering") if wanted.get(key)}
        resource = {
            **(about or {}),
            **layout,
            "tableReference": {"tableId": name.table},
            "schema": {"fields": fields_to_json(loaded.schema)},
        }
        return self._catalog.create_table(name.project, name.dataset, resource)

    def _rows(self, loaded: Loaded, table: Table) -> list[pa.Table]:
        ignore = bool(loaded.wanted.get("ignoreUnknownValues"))
        if loaded.objects:
            rows, wrong = json_rows(loaded.objects, table.schema, ignore_unknown=ignore)
            for index, (location, text) in wrong.items():
                raise Refusal(
                    Code.INVALID_ARGUMENT,
                    "Error while reading data, error message: JSON table encountered too many "
                    f"errors, giving up. Row: {index + 1}; field: {location}; {text}",
                )
            return [rows]
        return [self._matched(part, table, ignore) for part in loaded.tables]

    def _matched(self, rows: pa.Table, table: Table, ignore: bool) -> pa.Table:
        known = by_name(table.schema)
        names = [name for name in rows.column_names if not ignore or name.lower() in known]
        batches = rows.select(names).combine_chunks().to_batches()
        if not batches:
            return rows.select([])
        try:
            matched = match(batches[0], table.schema, Defaults({}), PARQUET, "")
        except RowsRefused as refused:
            index, text = next(iter(refused.rows.items()))
            raise Refusal(
                Code.INVALID_ARGUMENT,
                f"Error while reading data, error message: row {index + 1}: {text}",
            ) from None
        filled = {name: dialect.expression(sql) for name, sql in matched.filled.items()}
        return self._state.store.fill(matched.rows, filled, table.schema)


def _table_name(wanted: Mapping[str, Any], project: str) -> TableName:
    reference = wanted.get("destinationTable") or {}
    name = TableName(
        reference.get("projectId") or project,
        str(reference.get("datasetId", "")),
        str(reference.get("tableId", "")),
    )
    if "$" in name.table:
        raise Refusal(Code.UNIMPLEMENTED, "Partition decorators ($) are not supported here.")
    return name
