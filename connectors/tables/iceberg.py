"""A table of Apache Iceberg by ``pyiceberg``: a snapshot for each commit, by any catalog."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from pyiceberg.catalog import Catalog
from pyiceberg.exceptions import (
    CommitFailedException,
    CommitStateUnknownException,
    NamespaceAlreadyExistsError,
    NoSuchNamespaceError,
    NoSuchTableError,
    RESTError,
    TableAlreadyExistsError,
)
from pyiceberg.io.pyarrow import (
    compute_statistics_plan,
    data_file_statistics_from_parquet_metadata,
    parquet_path_to_id_mapping,
    schema_to_pyarrow,
)
from pyiceberg.manifest import DataFile as IcebergFile
from pyiceberg.manifest import DataFileContent, FileFormat
from pyiceberg.table import Table as PyIcebergTable
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.snapshots import Snapshot
from pyiceberg.transforms import (
    DayTransform,
    HourTransform,
    IdentityTransform,
    MonthTransform,
    YearTransform,
)
from pyiceberg.typedef import Record
from sqlalchemy.exc import SQLAlchemyError

from connectors.store import is_remote
from connectors.tables.catalogs import catalog_of, location
from connectors.tables.errors import explained
from connectors.tables.files import DataFile
from connectors.tables.fitting import plain, storable
from connectors.tables.spec import Level, TableSpec
from connectors.tables.values import number, texts
from transforms.errors import ConfigError, PermanentError

__all__ = ["IcebergTable"]

APP, VERSION, FILES = "headrace.app", "headrace.version", "headrace.files"
"""Keys of a snapshot's summary."""
_HISTORY_MAX = 200
_INT_BYTES = 4
_TRANSFORMS: dict[str, Any] = {
    "": IdentityTransform, "year": YearTransform, "month": MonthTransform,
    "date": DayTransform, "hour": HourTransform,
}  # fmt: skip
_MERGE = "commit.manifest-merge.enabled"
_PROPERTIES = {
    # A commit writes all of the table's metadata anew: what is old is not worth keeping for ever.
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": "100",
    _MERGE: "true",
    # Tried again by whoever commits, who looks first whether it is done.
    "commit.retry.num-retries": "0",
}
_CONFLICTS = (
    CommitFailedException, CommitStateUnknownException, NamespaceAlreadyExistsError,
    TableAlreadyExistsError,
)  # fmt: skip


class IcebergTable:
    """See ``connectors.tables.table.Table``.

    The number of an app's last commit is a property of the table, set in the commit itself, so
    that it outlives the snapshots; recent snapshots tell it too.
    """

    def __init__(self, spec: TableSpec) -> None:
        self._spec = spec
        self._place = f"{spec.name} ({spec.root})"
        self._catalog: Catalog | None = None
        self._table: PyIcebergTable | None = None
        self._told: list[dict[str, str]] = []

    def refresh(self) -> bool:
        """Read the newest version; tell whether there is a table."""
        with self._explained():
            try:
                self._table = self._opened.load_table(self._spec.name)
            except (NoSuchTableError, NoSuchNamespaceError):
                self._table = None
        if self._table is None:
            return False
        recent: list[Snapshot] = self._table.metadata.snapshots[-_HISTORY_MAX:]
        self._told = [each.summary.additional_properties for each in recent if each.summary]
        self._table.metadata = _light(self._table.metadata)
        return True

    def schema(self) -> pa.Schema:
        """Return the columns, with the numbers by which Iceberg knows them."""
        found = schema_to_pyarrow(self._found.schema(), include_field_ids=True)
        return pa.schema([field.with_type(plain(field.type) or field.type) for field in found])

    def check_layout(self) -> None:
        """Refuse a table with other partitions, or in another place."""
        wanted = [(level.column, str(_TRANSFORMS[level.unit]())) for level in self._spec.levels]
        table = self._found
        there = [
            (table.schema().find_column_name(field.source_id), str(field.transform))
            for field in table.spec().fields
        ]
        if wanted != there:
            raise ConfigError(
                "partition_by", ",".join(map(str, self._spec.levels)) or None,
                f"is not how the table {self._place} is partitioned: "
                + (", ".join(f"{transform}({name})" for name, transform in there) or "not at all"),
                "Give the same levels in the same order, or write to another table",
            )  # fmt: skip
        place = table.location().rstrip("/").replace("file:///", "/").replace("file:/", "/")
        if not f"{self._spec.root}/".startswith(f"{place}/"):
            raise ConfigError(
                "path", self._spec.root, f"is not in the place of the table {self._spec.name}, "
                f"which is {place}", f"Give {place}, or a folder in it",
            )  # fmt: skip

    def create(self, rows: pa.Schema) -> None:
        """Make the table, unless another process is quicker."""
        schema = storable(rows, times=True, bytes_min=_INT_BYTES)
        namespace = self._spec.name.rpartition(".")[0]
        with self._explained():
            self._opened.create_namespace_if_not_exists(namespace)
            with (
                self._opened.create_table_transaction(
                    self._spec.name, schema, location=location(self._spec.root),
                    properties=_PROPERTIES,
                ) as transaction,
                transaction.update_spec() as parts,
            ):  # fmt: skip
                for level in self._spec.levels:
                    parts.add_field(level.column, _TRANSFORMS[level.unit](), _name(level, rows))

    def add_columns(self, fields: Sequence[pa.Field]) -> None:
        """Add nullable columns.

        Raises:
            ConflictError: another process has changed the table.
        """
        wanted = storable(pa.schema(fields), times=True, bytes_min=_INT_BYTES)
        nullable = pa.schema([field.with_nullable(True) for field in wanted])
        with self._explained(), self._found.update_schema() as update:
            update.union_by_name(nullable)

    def version(self, app: str) -> int:
        """Return the number of the last commit of an app; 0 if there is none."""
        noted = int(self._found.properties.get(_property(app), "0"))
        recent = [int(told[VERSION]) for told in self._told if told.get(APP) == app]
        return max([noted, *recent])

    def append(self, app: str, version: int, files: Sequence[DataFile], digest: str) -> None:
        """Add files in one commit.

        Raises:
            ConflictError: the table has changed since ``refresh``, or nobody knows.
        """
        table = self._found
        told = {APP: app, VERSION: str(version), FILES: digest}
        with self._explained(), table.transaction() as transaction:
            update = transaction.update_snapshot(told)
            merge = table.properties.get(_MERGE, "false").lower() == "true"
            with update.merge_append() if merge else update.fast_append() as snapshot:
                for file in files:
                    snapshot.append_data_file(self._data_file(file))
            transaction.set_properties({_property(app): str(version)})

    def _data_file(self, file: DataFile) -> IcebergFile:
        table = self._found
        schema = table.schema()
        found = data_file_statistics_from_parquet_metadata(
            file.footer,
            compute_statistics_plan(schema, table.properties),
            parquet_path_to_id_mapping(schema),
        )
        return IcebergFile.from_args(
            content=DataFileContent.DATA,
            file_path=location(file.path),
            file_format=FileFormat.PARQUET,
            partition=Record(*self._values(file.path)),
            file_size_in_bytes=file.bytes,
            sort_order_id=None,
            spec_id=table.spec().spec_id,
            equality_ids=None,
            key_metadata=None,
            **found.to_serialized_dict(),
        )

    def _values(self, path: str) -> list[object]:
        levels = self._spec.levels
        types = {field.name: field.type for field in self.schema()}
        return [
            number(text, types[level.column], level.unit)
            for text, level in zip(texts(path, self._spec.root, levels), levels, strict=True)
        ]

    def recorded(self, app: str, version: int) -> str | None:
        """Return the digest of a commit's files, if a recent snapshot tells it."""
        for told in self._told:
            if told.get(APP) == app and told.get(VERSION) == str(version):
                return told.get(FILES)
        return None

    def new_files(self) -> list[str]:
        """Return the files of this machine that the last commit has written."""
        if is_remote(self._spec.root):
            return []
        table = self._found
        snapshot = table.current_snapshot()
        paths = [table.metadata_location]
        if snapshot is not None:
            manifests = snapshot.manifests(table.io)
            paths.append(snapshot.manifest_list)
            paths += [
                each.manifest_path
                for each in manifests
                if each.added_snapshot_id == snapshot.snapshot_id
            ]
        return [path.removeprefix("file://") for path in paths]

    @property
    def _opened(self) -> Catalog:
        if self._catalog is None:
            self._catalog = catalog_of(self._spec)
        return self._catalog

    @property
    def _found(self) -> PyIcebergTable:
        if self._table is None:
            raise PermanentError(
                f"the table {self._place} is gone: it was in its catalog when the job began. "
                "Register it again, or write to another folder"
            )
        return self._table

    def _explained(self) -> Any:
        return explained(self._place, (RESTError, SQLAlchemyError, ValueError), _CONFLICTS)


def _light(metadata: TableMetadata) -> TableMetadata:
    """Return the metadata that a transaction needs: that of the newest snapshots, not of all.

    ``pyiceberg`` copies it whole some fifteen times for a commit. What is sent to the catalog is
    the difference, which the catalog adds to all that it has.
    """
    heads = {ref.snapshot_id for ref in metadata.refs.values()} | {metadata.current_snapshot_id}
    kept = [each for each in metadata.snapshots if each.snapshot_id in heads]
    # With retries of its own, two that have both looked would both commit.
    properties = metadata.properties | {"commit.retry.num-retries": "0"}
    return metadata.model_copy(
        update={"snapshots": kept, "snapshot_log": [], "metadata_log": [], "properties": properties}
    )


def _property(app: str) -> str:
    return f"{VERSION}.{app}"


def _name(level: Level, rows: pa.Schema) -> str:
    """Return the name of a partition, which must be no column's unless it is its value."""
    taken = level.name in rows.names and not level.is_value
    if not taken:
        return level.name
    return next(
        name
        for number in itertools.count(1)
        if (name := f"{level.name}_{number}") not in rows.names
    )
