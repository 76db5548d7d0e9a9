"""The source of a user's function: what travels in the graph, so that a worker needs no file."""

from __future__ import annotations

import enum
import hashlib
from dataclasses import dataclass, field

__all__ = ["Form", "Language", "Source"]


class Form(enum.Enum):
    """What a function is called with."""

    ROW = "row"
    """A row as a dictionary."""
    BATCH = "batch"
    """All rows of a batch as a ``pyarrow.RecordBatch``."""
    TEXT = "text"
    """The payload of a message, before it is parsed."""


class Language(enum.Enum):
    """What a function is written in; the end of the file's name tells."""

    PYTHON = ".py"
    JAVASCRIPT = ".js"


@dataclass(frozen=True)
class Source:
    """A checked function: text, not code, for a worker compiles it again."""

    path: str
    """Of the file as it was given, on this machine or on Cloud Storage."""
    function: str
    text: str = field(repr=False)
    form: Form

    @property
    def language(self) -> Language:
        """What the file is written in."""
        return Language.JAVASCRIPT if self.path.endswith(".js") else Language.PYTHON

    @property
    def version(self) -> str:
        """A digest of the text: what logs say of which version runs."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:12]

    def __str__(self) -> str:
        return f"{self.path}:{self.function}"
