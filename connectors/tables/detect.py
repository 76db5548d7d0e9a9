"""Whether a folder is a table's: then nobody may change its files behind the log's back."""

from __future__ import annotations

import posixpath

from connectors.objects import store_of
from transforms.errors import ConfigError

__all__ = ["refuse_files", "refuse_other", "refuse_table", "table_kind"]

_NAMES = {"delta": "Delta Lake", "iceberg": "Apache Iceberg"}
_AS_TABLE = {
    kind: f"Give another folder, or write to it as what it is: table_format={kind}"
    for kind in _NAMES
}


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
    _refuse(root, table_kind(root), rule, fixes)


def refuse_files(root: str) -> None:
    """Refuse to write files of no table into the folder of one.

    Raises:
        ConfigError: there is a table.
    """
    refuse_table(root, "of which files beside its log would be no part", _AS_TABLE)


def refuse_other(root: str, wanted: str) -> None:
    """Refuse to make a table in a folder that is one of another format.

    Args:
        root: the folder.
        wanted: kind of the table to be made.

    Raises:
        ConfigError: there is such a table.
    """
    # Asked once: another process may just be making the table that is wanted.
    kind = table_kind(root)
    if kind != wanted:
        _refuse(root, kind, f"and can't be one of {_NAMES[wanted]} too", _AS_TABLE)


def _refuse(root: str, kind: str, rule: str, fixes: dict[str, str]) -> None:
    if kind:
        raise ConfigError("path", root, f"is a table of {_NAMES[kind]}, {rule}", fixes[kind])
