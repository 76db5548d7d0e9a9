"""Names of BigQuery's tables and streams, and their rules. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from transforms.errors import ConfigError

__all__ = ["DEFAULT_STREAM", "TableName"]

DEFAULT_STREAM = "_default"

_PROJECT = r"(?:[a-z][a-z0-9.-]*:)?[a-z][a-z0-9-]{1,61}[a-z0-9]"
_DATASET = r"[A-Za-z0-9_]{1,1024}"
_TABLE = r"[\w -]{1,1024}"
_FORMS = (
    re.compile(rf"(?P<project>{_PROJECT})[.:](?P<dataset>{_DATASET})\.(?P<table>{_TABLE})"),
    re.compile(
        rf"projects/(?P<project>{_PROJECT})/datasets/(?P<dataset>{_DATASET})"
        rf"/tables/(?P<table>{_TABLE})"
    ),
)
"""Rules: https://cloud.google.com/bigquery/docs/tables#table_naming, and of datasets.

A table's name may also hold marks and connectors of other scripts, as ``\\w`` does not; nobody
missed them so far.
"""


@dataclass(frozen=True)
class TableName:
    """A table of BigQuery."""

    project: str
    dataset: str
    table: str

    @classmethod
    def parse(cls, text: str, parameter: str = "table") -> TableName:
        """Read ``project.dataset.table``, ``project:dataset.table`` or the name of the resource.

        Raises:
            ConfigError: the text is none of these; ``parameter`` names it.
        """
        for form in _FORMS:
            if match := form.fullmatch(text):
                return cls(**match.groupdict())
        raise ConfigError(
            parameter, text, "must be PROJECT.DATASET.TABLE, in the characters that each may have",
            "Write for example my-project.my_dataset.flights",
        )  # fmt: skip

    @property
    def path(self) -> str:
        """The name of the resource, as the Storage API has it."""
        return f"projects/{self.project}/datasets/{self.dataset}/tables/{self.table}"

    @property
    def default_stream(self) -> str:
        """The stream that every table has."""
        return f"{self.path}/streams/{DEFAULT_STREAM}"

    def __str__(self) -> str:
        return f"{self.project}.{self.dataset}.{self.table}"
