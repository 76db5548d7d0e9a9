"""Whether a folder is a table's: then nobody may change its files behind the log's back."""

from __future__ import annotations

import posixpath

from connectors.objects import store_of
from transforms.errors import ConfigError

__all__ = ["refuse_table", "table_kind"]


def table_kind(root: str) -> str:
    """Return ``delta`` or ``iceberg`` if there is such a table in a folder, else nothing."""
    store = store_of(root)
    names = store.names(root)
    if "_delta_log" in names:
        return "delta"
    metadata = store.names(posixpath.join(root, "metadata")) if "metadata" in names else []
    return "iceberg" if any(name.endswith(".metadata.json") for name in metadata) else ""


def refuse_table(root: str, rule: str, fixes: dict[str, str]) -> None:
    """Refuse to work on the files of a table.

    Args:
        root: the folder.
        rule: why, after the name of the format.
        fixes: what to do, by the kind of the table.

    Raises:
        ConfigError: there is a table.
    """
    kind = table_kind(root)
    if kind:
        name = {"delta": "Delta Lake", "iceberg": "Apache Iceberg"}[kind]
        raise ConfigError("path", root, f"is a table of {name}, {rule}", fixes[kind])
