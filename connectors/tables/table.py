"""What both formats do, and which class does it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import pyarrow as pa

from connectors.tables.files import DataFile
from connectors.tables.spec import TableSpec
from transforms.errors import ConfigError

__all__ = ["Table", "open_table"]


class Table(Protocol):
    """A table that keeps a log of its files.

    Every method but ``refresh`` and ``create`` is about the version that ``refresh`` has read, and
    needs that there is one.
    """

    def refresh(self) -> bool:
        """Read the newest version; tell whether there is a table."""

    def schema(self) -> pa.Schema:
        """Return the columns that rows have before they are parted into folders."""

    def check_layout(self) -> None:
        """Refuse a table that is partitioned in another way, or whose rules files could break."""

    def create(self, rows: pa.Schema) -> None:
        """Make the table; ``ConflictError`` if another process may have been quicker."""

    def add_columns(self, fields: Sequence[pa.Field]) -> None:
        """Add nullable columns."""

    def version(self, app: str) -> int:
        """Return the number of the last commit of an app; 0 if there is none."""

    def append(self, app: str, version: int, files: Sequence[DataFile], digest: str) -> None:
        """Add files, and note the number of the app's commit with them, or do neither."""

    def recorded(self, app: str, version: int) -> str | None:
        """Return the digest of a commit's files, if the recent history tells it."""

    def new_files(self) -> list[str]:
        """Return the files of this machine that the last commit has written."""


def open_table(spec: TableSpec) -> Table:
    """Return the table of a spec; nothing is read.

    Raises:
        ConfigError: the package for its format is not installed.
    """
    try:
        if spec.kind == "delta":
            from connectors.tables.delta import DeltaLog  # noqa: PLC0415 - an extra

            return DeltaLog(spec)
        from connectors.tables.iceberg import IcebergTable  # noqa: PLC0415 - an extra

        return IcebergTable(spec)
    except ModuleNotFoundError as error:
        raise ConfigError(
            "table_format", spec.kind, f"needs a package that is not installed ({error.name})",
            f"Install it: pip install '.[{spec.kind}]' in a clone of Headrace",
        ) from error  # fmt: skip
