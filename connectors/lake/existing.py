"""What a folder that is there holds: a lake, parted in one way, can be read as one table."""

from __future__ import annotations

import posixpath
from collections.abc import Sequence
from urllib.parse import unquote

from connectors.lake.partition import Partition
from connectors.objects import store_of
from transforms.errors import ConfigError

__all__ = ["refuse_others", "require_same_levels"]

_FILE = ".parquet"


def require_same_levels(root: str, levels: Sequence[Partition]) -> None:
    """Refuse levels that differ from those of the files that are there.

    It looks into one folder of each level, not at every file.

    Raises:
        ConfigError: naming both.
    """
    folder, wanted = root, [level.name for level in levels]
    for depth in range(len(wanted) + 1):
        names = [name for name in store_of(root).names(folder) if name[0] not in "._"]
        parts = sorted(name for name in names if "=" in name and not name.endswith(_FILE))
        files = [name for name in names if name.endswith(_FILE)]
        expected = wanted[depth] if depth < len(wanted) else None
        strange = files if expected else []
        strange += [part for part in parts if unquote(part.partition("=")[0]) != expected]
        if strange:
            found = posixpath.relpath(posixpath.join(folder, strange[0]), root)
            raise ConfigError(
                "partition_by", ",".join(map(str, levels)),
                f"is not how the files of {root} are parted, such as {found}",
                "Give the levels that the lake has, or write to a new folder",
            )  # fmt: skip
        if not parts:
            return
        folder = posixpath.join(folder, parts[0])


def refuse_others(path: str) -> None:
    """Refuse a folder with files of other formats alone; an empty one may be a lake to be.

    Raises:
        ConfigError: naming one of them.
    """
    other = ""
    for file in store_of(path).walk(path.rstrip("/")):
        if any(part[0] in "._" for part in file.name.split("/")):
            continue
        if file.name.endswith(".parquet"):
            return
        other = other or file.name
    if other:
        raise ConfigError(
            "path", path, f"holds no Parquet file, but such as {other}",
            "Give the folder of a lake of Parquet files",
        )  # fmt: skip
