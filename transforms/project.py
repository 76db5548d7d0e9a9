"""Choose the columns of a batch: keep some, drop some, add fields of the message as columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import apache_beam as beam
import pyarrow as pa

from transforms.batch import Batch
from transforms.errors import ConfigError
from transforms.field import Field

__all__ = ["Project", "project"]

NOTHING: Mapping[str, Field] = MappingProxyType({})


def project(
    batch: Batch,
    keep: Sequence[str] | None = None,
    drop: Sequence[str] = (),
    add: Mapping[str, Field] = NOTHING,
) -> Batch:
    """Return the batch with other columns; their buffers are shared.

    Raises:
        ConfigError: the batch lacks a column that is named, or has one that is to be added.
    """
    _require(batch, "keep", keep or ())
    _require(batch, "drop", drop)
    chosen = batch.select(keep) if keep is not None else batch.drop(drop)
    for name, field in add.items():
        if name in chosen.schema.names:
            raise ConfigError(
                "add", name, "is a column already", "Choose another name, or drop the column first"
            )
        chosen = chosen.with_column(name, _values(batch, field))
    return chosen


def _require(batch: Batch, parameter: str, names: Sequence[str]) -> None:
    for name in names:
        if name not in batch.schema.names:
            raise ConfigError(
                parameter, name, "is no column", f"The batch has {', '.join(batch.schema.names)}"
            )


def _values(batch: Batch, field: Field) -> pa.Array:
    try:
        return field.of(batch)
    except KeyError as error:
        raise ConfigError("add", str(field), "can't be found", f"{error.args[0]}") from error


class Project(beam.PTransform):
    """Choose columns: what a shuffle doesn't carry, it doesn't cost.

    Drop ``_message`` once no later step can reject a row, for it holds the whole payload; a sink
    that rejects rows without it can only write the columns to the dead letter.
    """

    def __init__(
        self,
        keep: Sequence[str] | None = None,
        drop: Sequence[str] = (),
        add: Mapping[str, Field] = NOTHING,
    ) -> None:
        """Name the columns.

        Args:
            keep: only these columns, in this order. Not together with ``drop``.
            drop: all columns but these.
            add: new columns, by name, such as ``{"source": attribute("source")}``; they are read
                from the batch as it came, so that their source may be dropped.

        Raises:
            ConfigError: the names contradict each other.
        """
        super().__init__()
        if keep is not None and drop:
            raise ConfigError("drop", list(drop), "can't be used with keep", "Give one of the two")
        for parameter, names in (("keep", keep or ()), ("drop", drop)):
            if isinstance(names, str) or len(set(names)) < len(names):
                raise ConfigError(
                    parameter, names, "must be a list of names, each once", 'Write ["a", "b"]'
                )
        for name in add:
            if name in (keep or ()):
                raise ConfigError("add", name, "is kept already", "Choose another name")
        self._keep = keep if keep is None else list(keep)
        self._drop = list(drop)
        self._add = dict(add)

    def expand(self, batches: beam.PCollection[Batch]) -> beam.PCollection[Batch]:
        """Wire the choice."""
        chosen = beam.Map(project, self._keep, self._drop, self._add)
        return batches | chosen.with_output_types(Batch)
