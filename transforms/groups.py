"""Number the groups of rows that agree in some columns, in compiled code."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["first_rows", "group_numbers"]


def group_numbers(columns: Sequence[pa.Array], rows: int) -> npt.NDArray[np.int64]:
    """Return for each row the number of its combination of values, counted as first seen.

    Null is a value like others, and all NaN are one value. No columns make one group.
    """
    numbers = np.zeros(rows, np.int64)
    for values in columns:
        if pa.types.is_dictionary(values.type):
            values = values.dictionary_decode()  # noqa: PLW2901
        encoded = pc.dictionary_encode(values, null_encoding="encode")
        codes = encoded.indices.to_numpy(zero_copy_only=False)
        combined = pa.array(numbers * len(encoded.dictionary) + codes).dictionary_encode()
        numbers = combined.indices.to_numpy(zero_copy_only=False).astype(np.int64)
    return numbers


def first_rows(numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return the first row of each group, in the order of the numbers."""
    firsts = np.zeros(int(numbers.max(initial=-1)) + 1, np.int64)
    # Where an index repeats, the last assignment stays: backwards, that is the first row.
    firsts[numbers[::-1]] = np.arange(len(numbers) - 1, -1, -1)
    return firsts
