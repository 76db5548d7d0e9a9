"""The options of ``lake.Write`` that make its files a table: ``Delta`` and ``Iceberg``."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from connectors.tables.spec import Level, TableSpec
from transforms.errors import ConfigError

__all__ = ["Delta", "Iceberg", "TableOption"]

_SECRETS = re.compile(r"token|secret|password|credential|access-key|account-key", re.IGNORECASE)
_NAME = re.compile(r"[^.\s]+(\.[^.\s]+)+")
_USER_INFO = re.compile(r"://[^/@]*:[^/@]+@")


@dataclass(frozen=True)
class TableOption:
    """What both formats have in common.

    Attributes:
        schema: of the rows. With it the table is made or checked before anything starts;
            without it, when the first rows are written.
        add_columns: columns that the table lacks are added to it, nullable; else refused.
        commit_s: how often files that are complete are added to the table, on a runner without
            end. Each commit makes a version of the table, which readers and later commits have to
            read until it is expired by the format's own tools.
    """

    schema: pa.Schema | None = None
    add_columns: bool = False
    commit_s: float = 60.0


@dataclass(frozen=True)
class Delta(TableOption):
    """A table of Delta Lake: the log lies in ``_delta_log`` of the folder. Needs ``deltalake``."""

    def spec(self, root: str, levels: Sequence[Level]) -> TableSpec:
        """Return the table of a folder."""
        return TableSpec("delta", root, tuple(levels), self.add_columns)


@dataclass(frozen=True)
class Iceberg(TableOption):
    """A table of Apache Iceberg. Needs ``pyiceberg``.

    Attributes:
        catalog: a catalog that pyiceberg's configuration names, or properties of one such as
            ``type=rest,uri=https://host``; empty for a SQLite file in the folder, which serves
            one machine. Secrets belong into the configuration, for it is kept with commits:
            https://py.iceberg.apache.org/configuration/
        name: of the table, with its namespace; by default ``default.FOLDER``.

    Raises:
        ConfigError: the catalog holds a secret, or the name has no namespace.
    """

    catalog: str = ""
    name: str = ""

    def __post_init__(self) -> None:
        keys = [part.partition("=")[0] for part in self.catalog.split(",") if "=" in part]
        if any(map(_SECRETS.search, keys)) or _USER_INFO.search(self.catalog):
            raise ConfigError(
                "catalog", ",".join(keys), "must not hold a secret: it is kept with each commit",
                "Put it into .pyiceberg.yaml or a variable such as "
                "PYICEBERG_CATALOG__NAME__CREDENTIAL, and give the catalog's NAME",
            )  # fmt: skip
        if self.name and not _NAME.fullmatch(self.name):
            raise ConfigError(
                "table", self.name, "must have a namespace and a name",
                "Write for example flights.departures",
            )  # fmt: skip

    def spec(self, root: str, levels: Sequence[Level]) -> TableSpec:
        """Return the table of a folder.

        Raises:
            ConfigError: the folder is on Cloud Storage and there is no catalog, or a level is of
                minutes, which Iceberg has no partitions of.
        """
        if not self.catalog and "://" in root:
            raise ConfigError(
                "catalog", None, f"is needed for an Iceberg table at {root}: a SQLite file, which "
                "is the default, can only be on this machine",
                "Give the name of a catalog of pyiceberg, or its properties",
            )  # fmt: skip
        for level in levels:
            if level.unit == "minute":
                raise ConfigError(
                    "partition_by", str(level), "is no partition of Iceberg",
                    f"Use hour({level.column}), or the day: date({level.column})",
                )  # fmt: skip
        folder = re.sub(r"[.\s]", "_", posixpath.basename(root)) or "lake"
        return TableSpec(
            "iceberg", root, tuple(levels), self.add_columns, self.catalog,
            self.name or f"default.{folder}",
        )  # fmt: skip
