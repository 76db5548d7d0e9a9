"""Names of the folders of Hive partitions. Pure functions.

carrier=UA/date=2013-01-01/
"""

from __future__ import annotations

import re

from transforms.errors import PermanentError

__all__ = ["NULL", "escape", "folder_part"]

NULL = "__HIVE_DEFAULT_PARTITION__"
"""Stands for null, and as in Hive for the empty string: Spark refuses a folder ``carrier=``."""

_ESCAPED = re.compile(r"[\x00-\x1f\x7f\"#%'*/:=?\\{}\[\]^]")
"""What Hive writes as ``%XX`` in a folder name; the closing brace for symmetry."""
_NAME_BYTES_MAX = 255


def escape(text: str) -> str:
    """Return a text as Hive writes it in a folder name; ``urllib.parse.unquote`` reverts it."""
    return _ESCAPED.sub(lambda found: f"%{ord(found.group()):02X}", text)


def folder_part(name: str, value: str | None, *, keep_empty: bool = False) -> str:
    """Return ``name=value`` as a folder.

    Args:
        name: of the level.
        value: None for null.
        keep_empty: the empty string is not null.

    Raises:
        PermanentError: the name would be longer than file systems allow.
    """
    is_null = value is None if keep_empty else not value
    part = f"{escape(name)}={NULL if is_null else escape(str(value))}"
    if len(part.encode()) > _NAME_BYTES_MAX:
        raise PermanentError(
            f"a partition value of {name} makes a folder name of more than {_NAME_BYTES_MAX} bytes "
            f"({part[:60]}...). Partition by a column with shorter values."
        )
    return part
