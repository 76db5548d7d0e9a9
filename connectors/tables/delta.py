"""A table of Delta Lake by ``deltalake``: its log, to which files are added as they are."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Schema, Transaction
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError
from deltalake.transaction import AddAction, RemoveAction

from connectors.clients import storage_endpoint
from connectors.objects import store_of
from connectors.store import is_remote
from connectors.tables.errors import explained
from connectors.tables.files import DataFile
from connectors.tables.fitting import plain, storable
from connectors.tables.spec import Level, TableSpec
from connectors.tables.stats import statistics
from connectors.tables.values import texts, unit_type
from transforms.errors import ConfigError, PermanentError

__all__ = ["DeltaLog", "storage_options"]

APP, VERSION, FILES = "headrace.app", "headrace.version", "headrace.files"
"""Keys of a commit's information."""
_HISTORY_MAX = 200
_ADDING_IS_SAFE = frozenset(
    ("appendOnly", "changeDataFeed", "checkConstraints", "deletionVectors", "domainMetadata",
     "generatedColumns", "invariants", "timestampNtz", "typeWidening", "v2Checkpoint",
     "vacuumProtocolCheck")
)  # fmt: skip
"""Features under which files may be added; constraints and such are refused where they are used:
https://github.com/delta-io/delta/blob/master/PROTOCOL.md#valid-feature-names-in-table-features."""
_RULES = ("delta.generationExpression", "delta.invariants", "delta.identity.start",
          "delta.columnMapping.physicalName")  # fmt: skip


class DeltaLog:
    """See ``connectors.tables.table.Table``."""

    def __init__(self, spec: TableSpec) -> None:
        self._spec = spec
        self._options = storage_options(spec.root)
        self._table: DeltaTable | None = None
        self._before = -1

    def refresh(self) -> bool:
        """Read the newest version; tell whether there is a table."""
        try:
            with self._explained():
                if self._table is None:
                    self._table = DeltaTable(self._spec.root, storage_options=self._options)
                else:
                    self._table.update_incremental()
        except PermanentError as error:
            if not isinstance(error.__cause__, TableNotFoundError):
                raise
            self._table = None
        return self._table is not None

    def schema(self) -> pa.Schema:
        """Return the columns of rows: those of the table without what only paths tell."""
        told = {level.name for level in self._spec.levels if not level.is_value}
        found = pa.schema(self._found.schema())
        fields = [
            pa.field(field.name, plain(field.type) or field.type, field.nullable)
            for field in found
            if field.name not in told
        ]
        return pa.schema(fields)

    def check_layout(self) -> None:
        """Refuse a table with other partitions, or with rules that a new file could break."""
        names = [level.name for level in self._spec.levels]
        there = list(self._found.metadata().partition_columns)
        if names != there:
            raise ConfigError(
                "partition_by", ",".join(map(str, self._spec.levels)) or None,
                f"is not how the table {self._spec.root} is partitioned: by {there or 'nothing'}",
                "Give the same levels in the same order, or write to another table",
            )  # fmt: skip
        unknown = set(self._found.protocol().writer_features or ()) - _ADDING_IS_SAFE
        rules = unknown | set(self._rules())
        if rules:
            raise ConfigError(
                "path", self._spec.root, f"is a table with {sorted(rules)}, which files that are "
                "added as they are could break",
                "Write to a table without it, and copy from there",
            )  # fmt: skip

    def _rules(self) -> list[str]:
        fields = json.loads(self._found.schema().to_json())["fields"]
        found = [key for field in fields for key in field["metadata"] if key in _RULES]
        settings = self._found.metadata().configuration
        return found + [key for key in settings if key.startswith("delta.constraints.")]

    def create(self, rows: pa.Schema) -> None:
        """Make the table, unless another process is quicker."""
        levels = {level.name: level for level in self._spec.levels}
        fields = list(storable(rows, times=False, bytes_min=1))
        own = {field.name: field for field in fields}
        told = (level for level in self._spec.levels if not level.is_value)
        fields.extend(_level_field(level, own) for level in told)
        # The value of a partition is null where the column's is empty: the format's own rule.
        fields = [field.with_nullable(True) if field.name in levels else field for field in fields]
        with self._explained():
            DeltaTable.create(
                self._spec.root, Schema.from_arrow(pa.schema(fields)), mode="ignore",
                partition_by=list(levels), storage_options=self._options,
            )  # fmt: skip

    def add_columns(self, fields: Sequence[pa.Field]) -> None:
        """Add nullable columns.

        Raises:
            ConflictError: another process has changed the table.
        """
        wanted = storable(pa.schema(fields), times=False, bytes_min=1)
        nullable = pa.schema([field.with_nullable(True) for field in wanted])
        with self._explained():
            self._found.alter.add_columns(Schema.from_arrow(nullable).fields)

    def version(self, app: str) -> int:
        """Return the number of the last commit of an app; 0 if there is none."""
        return self._found.transaction_version(app) or 0

    def append(self, app: str, version: int, files: Sequence[DataFile], digest: str) -> None:
        """Add files in one commit.

        Raises:
            ConflictError: the app has committed since ``refresh``, or the table has changed.
        """
        now_ms = int(time.time() * 1_000)
        names = [level.name for level in self._spec.levels]
        actions: list[AddAction | RemoveAction] = [self._add(file, names, now_ms) for file in files]
        properties = CommitProperties(
            custom_metadata={APP: app, VERSION: str(version), FILES: digest},
            app_transactions=[Transaction(app, version)],
        )
        table = self._found
        self._before = table.version()
        with self._explained():
            table.create_write_transaction(
                actions, "append", table.schema(), partition_by=names, commit_properties=properties
            )

    def _add(self, file: DataFile, names: list[str], now_ms: int) -> AddAction:
        values = texts(file.path, self._spec.root, self._spec.levels)
        path = file.path.removeprefix(self._spec.root).lstrip("/")
        partition = dict(zip(names, values, strict=True))
        return AddAction(path, file.bytes, partition, now_ms, True, statistics(file.footer))

    def recorded(self, app: str, version: int) -> str | None:
        """Return the digest of a commit's files, if the recent history tells it.

        Read here, for ``DeltaTable.history`` keeps Python's lock while it waits for the network.
        """
        newest = self._found.version()
        for number in range(newest, max(newest - _HISTORY_MAX, -1), -1):
            told = self._information(number)
            if told is None:
                return None  # cleaned up
            if told.get(APP) == app and told.get(VERSION) == str(version):
                return str(told.get(FILES))
        return None

    def _information(self, number: int) -> dict[str, Any] | None:
        """Return what a version says of itself; None if it is gone."""
        try:
            lines = store_of(self._spec.root).read(self._entry(number)).splitlines()
        except FileNotFoundError:
            return None
        found = (json.loads(line) for line in lines if b'"commitInfo"' in line)
        return next((each["commitInfo"] for each in found if "commitInfo" in each), {})

    def _entry(self, number: int) -> str:
        return f"{self._spec.root}/_delta_log/{number:020d}.json"

    def new_files(self) -> list[str]:
        """Return the files of this machine that the last commit has written."""
        if is_remote(self._spec.root):
            return []
        self.refresh()
        # Those of others in between too: a log with a gap ends there.
        versions = range(self._before + 1, self._found.version() + 1)
        return [self._entry(version) for version in versions]

    @property
    def _found(self) -> DeltaTable:
        if self._table is None:
            raise PermanentError(
                f"the table {self._spec.root} is gone: its log was there when the job began. "
                "Bring it back, or remove the rest of the folder and its state to begin anew"
            )
        return self._table

    def _explained(self) -> Any:
        return explained(self._spec.root, (DeltaError,), (CommitFailedError,))


def _level_field(level: Level, own: dict[str, pa.Field]) -> pa.Field:
    if level.name in own:
        raise ConfigError(
            "partition_by", str(level), f"would be a second column {level.name}",
            "Give it a name of its own, as in event_date=date(event_time)",
        )  # fmt: skip
    return pa.field(level.name, unit_type(level.unit) if level.unit else own[level.column].type)


def storage_options(root: str) -> dict[str, str] | None:
    """Return what tells ``deltalake`` of a local server of Cloud Storage."""
    if not is_remote(root) or not storage_endpoint().is_local:
        return None
    account = {"gcs_base_url": storage_endpoint().address, "disable_oauth": True,
               "client_email": "", "private_key": "", "private_key_id": ""}  # fmt: skip
    return {"google_service_account_key": json.dumps(account), "allow_http": "true"}
