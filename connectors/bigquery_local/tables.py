"""Tables and datasets as values: what makes a valid one, and which changes it allows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from connectors.bigquery_local import limits
from connectors.bigquery_local.errors import Code, Refusal
from connectors.bigquery_local.names import TableName
from connectors.bigquery_local.schema import Field, Schema, by_name
from connectors.bigquery_local.schema_json import fields_from_json, fields_to_json

__all__ = ["Table", "new_table", "updated_table"]

_KEPT = (
    "friendlyName", "description", "labels", "expirationTime", "timePartitioning",
    "rangePartitioning", "clustering", "requirePartitionFilter", "tableConstraints",
    "maxStaleness", "resourceTags", "defaultCollation",
)  # fmt: skip


@dataclass(frozen=True)
class Table:
    """A table: its columns and what the REST API says of it.

    Args:
        name: of the table.
        uid: differs from every other table's, also of one that had the same name before.
        schema: its columns.
        about: the rest of its resource, as the client gave it.
        created_us: microseconds since the epoch.
        modified_us: the same, of the last change of schema or metadata.
        version: counts the changes of the schema.
    """

    name: TableName
    uid: str
    schema: Schema
    about: Mapping[str, Any]
    created_us: int
    modified_us: int
    version: int = 1

    @property
    def key(self) -> tuple[str, ...]:
        """The columns of the primary key, or nothing."""
        constraints = self.about.get("tableConstraints") or {}
        return tuple((constraints.get("primaryKey") or {}).get("columns") or ())

    def resource(self) -> dict[str, Any]:
        """Return the table as the REST API shows it, without counts."""
        return {
            "kind": "bigquery#table",
            "id": self.name.legacy,
            "etag": f"{self.uid}.{self.modified_us}",
            "tableReference": {
                "projectId": self.name.project,
                "datasetId": self.name.dataset,
                "tableId": self.name.table,
            },
            "type": "TABLE",
            "location": "US",
            "creationTime": str(self.created_us // 1_000),
            "lastModifiedTime": str(self.modified_us // 1_000),
            "schema": {"fields": fields_to_json(self.schema)},
            **self.about,
        }


def new_table(name: TableName, resource: Mapping[str, Any], uid: str, now_us: int) -> Table:
    """Return the table that a ``tables.insert`` asks for.

    Raises:
        Refusal: the resource breaks a rule, or asks for what this server does not do.
    """
    for key in ("view", "materializedView", "externalDataConfiguration", "snapshotDefinition"):
        if key in resource:
            raise Refusal(Code.UNIMPLEMENTED, f"Tables with {key} are not supported here.")
    schema = fields_from_json((resource.get("schema") or {}).get("fields") or ())
    table = Table(name, uid, schema, _about(resource), now_us, now_us)
    _check_layout(table)
    return table


def updated_table(
    table: Table, patch: Mapping[str, Any], now_us: int, *, whole: bool = False
) -> Table:
    """Return the table after a ``tables.patch`` or, with ``whole``, a ``tables.update``.

    Columns may be added (NULLABLE or REPEATED), relaxed from REQUIRED to NULLABLE, and described.

    Raises:
        Refusal: the change is one that BigQuery does not allow.
    """
    about = {} if whole else dict(table.about)
    about |= _about(patch)
    about = {key: value for key, value in about.items() if value is not None}
    schema = table.schema
    if "schema" in patch:
        schema = fields_from_json((patch["schema"] or {}).get("fields") or ())
        _check_change(table.schema, schema, table.name, "")
    version = table.version + (schema != table.schema)
    changed = replace(table, schema=schema, about=about, modified_us=now_us, version=version)
    _check_layout(changed)
    return changed


def _about(resource: Mapping[str, Any]) -> dict[str, Any]:
    return {key: resource[key] for key in _KEPT if key in resource}


def _check_layout(table: Table) -> None:
    known = by_name(table.schema)
    partition = (table.about.get("timePartitioning") or {}).get("field")
    cluster = (table.about.get("clustering") or {}).get("fields") or ()
    for what, names in (("partitioning", [partition] if partition else []),
                        ("clustering", cluster), ("primary key", table.key)):  # fmt: skip
        for name in names:
            if name.lower() not in known:
                raise _invalid(f"The field {name} of the {what} is not in the schema.")
    if partition and known[partition.lower()].kind not in ("DATE", "TIMESTAMP", "DATETIME"):
        raise _invalid(
            f"The field specified for partitioning must be of type DATE, TIMESTAMP or DATETIME: "
            f"{partition} is {known[partition.lower()].kind}."
        )
    if len(table.key) > limits.PRIMARY_KEY_COLUMNS_MAX:
        raise _invalid(f"A primary key has at most {limits.PRIMARY_KEY_COLUMNS_MAX} columns.")


def _check_change(old: Schema, new: Schema, name: TableName, path: str) -> None:
    after = by_name(new)
    head = f"Provided Schema does not match Table {name.legacy}."
    for field in old:
        changed = after.get(field.name.lower())
        if changed is None:
            raise _invalid(f"{head} Field {path}{field.name} is missing in new schema")
        _check_field(field, changed, f"{head} Field {path}{field.name}")
        _check_change(field.fields, changed.fields, name, f"{path}{field.name}.")
    known = by_name(old)
    for field in new:
        if field.name.lower() not in known and field.mode == "REQUIRED":
            raise _invalid(
                f"{head} Cannot add required fields to an existing schema. "
                f"(field: {path}{field.name})"
            )


def _check_field(old: Field, new: Field, head: str) -> None:
    if (old.kind, old.range_of) != (new.kind, new.range_of):
        raise _invalid(f"{head} has changed type from {old.kind} to {new.kind}")
    if old.mode != new.mode and (old.mode, new.mode) != ("REQUIRED", "NULLABLE"):
        raise _invalid(f"{head} has changed mode from {old.mode} to {new.mode}")


def _invalid(text: str) -> Refusal:
    return Refusal(Code.INVALID_ARGUMENT, text)
