"""A table before rows are written to it: made if it is missing, checked, given new columns."""

from __future__ import annotations

import random
import time

import pyarrow as pa

from connectors.objects import store_of
from connectors.retry import Backoff
from connectors.tables.detect import refuse_other, table_kind
from connectors.tables.errors import ConflictError
from connectors.tables.fitting import check, missing
from connectors.tables.spec import TableSpec
from connectors.tables.table import Table, open_table
from transforms.errors import ConfigError, TransientError

__all__ = ["Target", "prepared"]

TRIES_MAX = 10
_BACKOFF = Backoff(first_s=0.05, limit_s=2.0)


def prepared(table: Table, spec: TableSpec, rows: pa.Schema) -> pa.Schema:
    """Make or check a table for rows, and return the columns that its files are to have.

    Raises:
        ConfigError: the rows, or the partitions, don't fit into the table, or its folder holds
            files that are not the table's.
        TransientError: other processes change the table again and again.
    """
    _require_levels(spec, rows)
    for attempt in range(TRIES_MAX):
        columns = _unless_overtaken(table, spec, rows)
        if columns is not None:
            return columns
        time.sleep(_BACKOFF.delay_s(attempt, random.random()))  # noqa: S311 (no secret)
    raise TransientError(f"the table {spec.root} is changed by others again and again")


def _unless_overtaken(table: Table, spec: TableSpec, rows: pa.Schema) -> pa.Schema | None:
    try:
        if not table.refresh():
            refuse_other(spec.root, spec.kind)
            _refuse_strangers(spec)
            table.create(rows)
            table.refresh()
        table.check_layout()
        check(rows, table.schema(), spec.root, add_columns=spec.add_columns)
        new = missing(rows, table.schema())
        if new:
            table.add_columns(new)
            table.refresh()
    except ConflictError:
        return None  # others have done something to the table, perhaps the same
    return table.schema()


def _require_levels(spec: TableSpec, rows: pa.Schema) -> None:
    for level in spec.levels:
        if level.column not in rows.names:
            raise ConfigError(
                "partition_by", str(level), f"needs the column {level.column}, which rows lack",
                f"Use one of {', '.join(rows.names)}",
            )  # fmt: skip


def _refuse_strangers(spec: TableSpec) -> None:
    """Refuse to begin a table among the files of a plain lake, which would be in none of it."""
    for file in store_of(spec.root).walk(spec.root):
        if file.name.endswith(".parquet") and file.name[0] not in "._":
            if table_kind(spec.root) == spec.kind:
                rule = f"is a table that its catalog does not know as {spec.name}"
                fix = "Give the catalog= and the name of this table, or another folder"
            else:
                rule = f"holds files that are in no table, such as {file.name}"
                fix = "Give a new folder, or make a table of it first by the format's own tools"
            raise ConfigError("path", spec.root, rule, fix)


class Target:
    """A table as a worker writes rows for it. Pickled without what it has read."""

    def __init__(self, spec: TableSpec) -> None:
        self.spec = spec
        self._known: dict[pa.Schema, pa.Schema] = {}

    def open(self) -> Table:
        """Return the table; nothing is read, but its format's package is there."""
        return open_table(self.spec)

    def columns(self, rows: pa.Schema) -> pa.Schema:
        """Return the columns of files with such rows; the table is asked once for each schema."""
        found = self._known.get(rows)
        if found is None:
            found = self._known[rows] = prepared(self.open(), self.spec, rows)
        return found

    def __reduce__(self) -> tuple[type[Target], tuple[TableSpec]]:
        return Target, (self.spec,)
