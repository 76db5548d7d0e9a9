"""The places where dead letters can be kept, and how they are written on a command line."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TypeAlias

from connectors.pubsub import names
from connectors.table_name import TableName
from transforms.errors import ConfigError

__all__ = ["Folder", "Target", "Topic", "target"]


@dataclass(frozen=True)
class Folder:
    """A folder of Parquet files, on this machine or on ``gs://``."""

    path: str

    def __str__(self) -> str:
        return self.path


@dataclass(frozen=True)
class Topic:
    """A topic: the rejected message with the reason in attributes."""

    name: str

    def __str__(self) -> str:
        return self.name


Target: TypeAlias = Folder | Topic | TableName

# What is meant as a table; a folder of such a name needs ./ in front. A project may have its domain
# in front: example.com:my-project.
_TABLE = re.compile(
    r"[^/]+:\w+\.[^/.:]+|[a-z][a-z0-9-]*\.\w+\.[\w$-]+|projects/[^/]+/datasets/\w+/tables/[^/]+"
)


def target(text: str) -> Target:
    """Read a topic, a table or a folder.

    A topic is ``projects/P/topics/T``; a table ``P.D.T``, ``P:D.T`` or
    ``projects/P/datasets/D/tables/T``; what is neither is a folder.

    Raises:
        ConfigError: it is none of them, or a name is against the rules of the service.
    """
    if text.startswith("projects/") and "/topics/" in text:
        names.check_topic("topic", text)
        return Topic(text)
    if _TABLE.fullmatch(text):
        return TableName.parse(text, "dead letter")
    path = text.rstrip("/") or text[:1]
    if not path or path.startswith("projects/") or "://" in path.removeprefix("gs://"):
        raise ConfigError(
            "dead letter", text,
            "must be a topic, a table, or a folder on this machine or gs://BUCKET/FOLDER",
            "Write projects/PROJECT/topics/ID, PROJECT.DATASET.TABLE or for example ./dead_letters",
        )  # fmt: skip
    return Folder(path)
