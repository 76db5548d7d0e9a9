"""Which table a row goes to: a fixed one, or one that the row names."""

from __future__ import annotations

import re
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from connectors.bigquery.casting import Faults
from connectors.table_name import TableName
from transforms import kinds
from transforms.batch import Batch
from transforms.errors import ConfigError
from transforms.field import Field

__all__ = ["Destination", "Group", "Routed"]

_FILLERS = ("xxxxxx", "yyyyyy")
"""Values of the places, by which it shows what depends on them."""
_PLACE = re.compile(r"\{([^{}]*)\}")
_PART = r"^[A-Za-z0-9_-]+$"
"""What a row may put into a name: no dot, so that it can't choose another dataset by it."""


class Group(NamedTuple):
    """Rows of one table, by their indices in the batch; None for all of it."""

    table: TableName
    rows: npt.NDArray[np.int64] | None


class Routed(NamedTuple):
    """The groups of a batch, and the rows that name no table."""

    groups: list[Group]
    faults: Faults


class Destination:
    """A table, or a template such as ``project.dataset.events_{kind}``.

    In braces is a field of the row: ``{column}``, ``{attribute:NAME}`` or ``{message:NAME}``. Its
    value may have letters, digits, ``_`` and ``-``.

    Attributes:
        fields: that it has places for; none for a fixed table.
        table: the fixed table, None for a template.
        example: a table as rows may name it, None if they name the dataset too.

    Raises:
        ConfigError: the text is no name of a table, whatever a row puts into it.
    """

    def __init__(self, text: str, parameter: str = "table") -> None:
        self.text = text
        self._parameter = parameter
        pieces = _PLACE.split(text)
        self._literals, fields = pieces[::2], pieces[1::2]
        if any(brace in literal for literal in self._literals for brace in "{}"):
            raise ConfigError(
                parameter, text, "has a brace without its other one",
                "Write a field of the row as {column} or {attribute:NAME}",
            )  # fmt: skip
        self.fields = tuple(Field.parse(name) for name in fields)
        found = [TableName.parse(filler.join(self._literals), parameter) for filler in _FILLERS]
        datasets = {(each.project, each.dataset) for each in found}
        self.table = None if self.fields else found[0]
        self.example = found[0] if len(datasets) == 1 else None

    def route(self, batch: Batch) -> Routed:
        """Group the rows of a batch by their table."""
        if self.table is not None:
            return Routed([Group(self.table, None)], {})
        names = self._names(batch)
        found = names.dictionary_encode()
        faults = self._unnamed(batch, names)
        groups = []
        for code, text in enumerate(found.dictionary.to_pylist()):
            rows = np.flatnonzero(pc.equal(found.indices, code).fill_null(False))
            try:
                groups.append(Group(TableName.parse(text), rows.astype(np.int64)))
            except ConfigError as error:
                reason = f"{text!r} is no table: {error.rule}"
                faults |= dict.fromkeys(rows.tolist(), (kinds.INVALID_VALUE, reason))
        return Routed(groups, faults)

    def _names(self, batch: Batch) -> pa.Array:
        values = []
        for literal, field in zip(self._literals, self.fields, strict=False):
            text = field.of(batch).cast(pa.string())
            fits = pc.match_substring_regex(text, _PART)
            values += [literal, pc.if_else(fits, text, pa.scalar(None, pa.string()))]
        return pc.binary_join_element_wise(*values, self._literals[-1], "")

    def _unnamed(self, batch: Batch, names: pa.Array) -> Faults:
        rows = np.flatnonzero(names.is_null()).tolist()
        return {row: (kinds.INVALID_VALUE, self._reason(batch, row)) for row in rows}

    def _reason(self, batch: Batch, row: int) -> str:
        values = {str(field): field.of(batch)[row].as_py() for field in self.fields}
        return f"{self.text} needs letters, digits, _ or - of {values}"
