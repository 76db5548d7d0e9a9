"""Catalogs of Iceberg: which one keeps a table, and how its files are reached."""

from __future__ import annotations

import posixpath
import time

from pyiceberg.catalog import Catalog, load_catalog

from connectors.clients import storage_endpoint
from connectors.store import is_remote
from connectors.tables.spec import TableSpec
from transforms.errors import ConfigError

__all__ = ["catalog_of", "location"]

FILE = "_catalog.db"
"""Of the catalog in the folder of a table; what begins so is no orphan to tools that clean up."""
_DAY_MS = 86_400_000


def catalog_of(spec: TableSpec) -> Catalog:
    """Return the catalog of a table.

    Raises:
        ConfigError: there is no such catalog.
    """
    files = _local_server(spec.root)
    if not spec.catalog:
        own = {"type": "sql", "uri": f"sqlite:///{posixpath.join(spec.root, FILE)}",
               "warehouse": location(spec.root)}  # fmt: skip
        return load_catalog("headrace", **own)
    try:
        if "=" not in spec.catalog:
            return load_catalog(spec.catalog, **files)
        pairs = (part.partition("=") for part in spec.catalog.split(","))
        given = {key.strip(): value.strip() for key, _, value in pairs}
        return load_catalog("headrace", **(files | given))
    except Exception as error:
        raise ConfigError(
            "catalog", spec.catalog, f"can't be used ({error})",
            "Name a catalog of .pyiceberg.yaml, or write properties such as "
            "type=rest,uri=https://host: https://py.iceberg.apache.org/configuration/",
        ) from error  # fmt: skip


def location(path: str) -> str:
    """Return a path as Iceberg has it."""
    return path if is_remote(path) else f"file://{path}"


def _local_server(root: str) -> dict[str, str]:
    """Return what tells ``pyiceberg`` of a local server of Cloud Storage."""
    if not is_remote(root) or not storage_endpoint().is_local:
        return {}
    return {
        "gcs.service.host": storage_endpoint().address,
        "gcs.project-id": "local",
        "gcs.oauth2.token": "local",
        "gcs.oauth2.token-expires-at": str(int(time.time() * 1_000) + _DAY_MS),
    }
