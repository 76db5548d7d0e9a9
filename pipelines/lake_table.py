"""What pipelines take that make a table of a lake's files."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa

from connectors import lake
from pipelines import kinds
from pipelines.params import Group, param
from pipelines.rules import OnlyWith, Rule
from transforms.errors import ConfigError

__all__ = ["LakeTable"]

_FLAGS = {"table": "--iceberg_table"}


@dataclass(frozen=True, kw_only=True)
class LakeTable(Group):
    """The format of the lake, and what it needs."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        OnlyWith(
            ("catalog", "iceberg_table"), "table_format", "is for Iceberg tables alone",
            ("iceberg",),
        ),
        OnlyWith(
            ("add_columns",), "table_format", "is for tables: each plain file has its own columns",
            ("delta", "iceberg"),
        ),
        OnlyWith(
            ("commit_every",), "table_format", "is for tables: a plain file is there when it is "
            "complete", ("delta", "iceberg"),
        ),
    )  # fmt: skip

    table_format: str = param(
        kinds.TABLE_FORMAT,
        "What the lake is: parquet for plain files, or a table of delta (Delta Lake) or iceberg "
        "(Apache Iceberg), whose log tells which files are in it.",
        default="parquet",
        group="Lake",
    )
    commit_every: float = param(
        kinds.DURATION,
        "How often complete files are added to the table, on a runner without end. Each time is a "
        "version of it.",
        default="1m",
        group="Lake",
    )
    add_columns: bool = param(
        kinds.SWITCH,
        "Add columns of --schema that the table lacks; else they are refused.",
        default="false",
        group="Lake",
    )
    catalog: str | None = param(
        kinds.CATALOG,
        "Of an Iceberg table: a catalog of pyiceberg's configuration, or properties of one; by "
        "default a SQLite file in --output. Secrets belong into the configuration.",
        example="my-catalog or type=rest,uri=https://host",
        required=False,
        group="Lake",
    )
    iceberg_table: str | None = param(
        kinds.CATALOG,
        "Name of an Iceberg table in its catalog; by default default.FOLDER.",
        example="flights.departures",
        required=False,
        group="Lake",
    )

    def check(self) -> None:
        """Refuse an Iceberg table that has no place."""
        self.require_table(lambda: self.table(None))

    def require_table(self, make: Callable[[], object]) -> None:
        """Refuse a table that can't be made, naming the flag.

        Args:
            make: makes it, or the step that writes it.
        """
        try:
            make()
        except ConfigError as error:
            flag = _FLAGS.get(error.name, f"--{error.name}")
            raise ConfigError(flag, error.value, error.rule, error.fix) from error

    def table(self, schema: pa.Schema | None) -> lake.Delta | lake.Iceberg | None:
        """Return the table that the lake is; None for plain files.

        Args:
            schema: of the rows.

        Raises:
            ConfigError: the catalog holds a secret, or the name has no namespace.
        """
        if self.table_format == "delta":
            return lake.Delta(schema, self.add_columns, self.commit_every)
        if self.table_format == "iceberg":
            return lake.Iceberg(
                schema, self.add_columns, self.commit_every,
                self.catalog or "", self.iceberg_table or "",
            )  # fmt: skip
        return None
