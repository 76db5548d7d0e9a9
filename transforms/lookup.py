"""Take a field that a parameter names from a batch, or say which parameter is wrong."""

from __future__ import annotations

import pyarrow as pa

from transforms.batch import Batch
from transforms.errors import ConfigError
from transforms.field import Field

__all__ = ["look_up"]


def look_up(parameter: str, field: Field, batch: Batch) -> pa.Array:
    """Return the values of the field.

    The schema of a batch is known when rows arrive: a wrong name can't be refused any earlier.

    Raises:
        ConfigError: the batch has no such field.
    """
    try:
        return field.of(batch)
    except KeyError as error:
        raise ConfigError(
            parameter, str(field), f"must exist in the batch: {error.args[0]}",
            "Name a column of the schema, an attribute or a message part",
        ) from error  # fmt: skip
