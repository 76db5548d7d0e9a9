"""The columns that flags can name: those of --schema, or those that a function gives."""

from __future__ import annotations

from typing import NamedTuple

import pyarrow as pa

from pipelines.params import Group

__all__ = ["Columns", "columns_of"]


class Columns(NamedTuple):
    """A schema, None for messages that have no columns, and the flag that declares it."""

    schema: pa.Schema | None
    flag: str = "--schema"


def columns_of(params: Group) -> Columns:
    """Return the columns of the rows of a pipeline, behind the function if it has one."""
    declared: Columns = getattr(params, "columns", None) or Columns(getattr(params, "schema", None))
    return declared
