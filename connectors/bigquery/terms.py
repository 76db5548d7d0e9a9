"""What errors call the arguments of ``Write``."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Terms"]


@dataclass(frozen=True)
class Terms:
    """The names of arguments; a command line has others for them, and says so by this.

    Args:
        table: the table, or template of tables.
        create: how to ask for tables that are missing to be made.
        partition_by: column of the partitions.
        cluster_by: columns of the clustering.
        primary_key: columns of the key.
    """

    table: str = "table"
    create: str = "create=Create()"
    partition_by: str = "partition_by"
    cluster_by: str = "cluster_by"
    primary_key: str = "primary_key"
