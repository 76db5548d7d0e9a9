"""What a table is, as a commit's record keeps it: whoever opens the lake next can finish."""

from __future__ import annotations

import msgspec

__all__ = ["Level", "TableCommit", "TableSpec"]


class Level(msgspec.Struct, frozen=True):
    """One level of partitions, ``name=value`` in the paths of files.

    ``unit`` is the part of a time that is its value: ``year``, ``month``, ``date``, ``hour`` or
    ``minute``; empty for the value of the column.
    """

    name: str
    column: str
    unit: str = ""

    @property
    def is_value(self) -> bool:
        """Tell whether the level is the column itself."""
        return not self.unit and self.name == self.column

    def __str__(self) -> str:
        value = f"{self.unit}({self.column})" if self.unit else self.column
        return value if self.name == (self.unit or self.column) else f"{self.name}={value}"


class TableSpec(msgspec.Struct, frozen=True):
    """A table: its format, the folder of its files, and how to find and to partition it.

    Attributes:
        kind: ``delta`` or ``iceberg``.
        root: the folder of its files, without a slash at its end.
        levels: of partitions, outermost first.
        add_columns: columns of rows that the table lacks are added to it.
        catalog: of Iceberg: a name or properties; empty for a file beside the data.
        name: of the table in its catalog.
    """

    kind: str
    root: str
    levels: tuple[Level, ...] = ()
    add_columns: bool = False
    catalog: str = ""
    name: str = ""


class TableCommit(msgspec.Struct, frozen=True):
    """Files that a run adds to a table, as one commit of it.

    Attributes:
        spec: the table.
        app: who commits; see ``connectors.tables.commit``.
        version: number of the commit among those of the app.
        stage: the folder in which the files were staged.
    """

    spec: TableSpec
    app: str
    version: int
    stage: str
