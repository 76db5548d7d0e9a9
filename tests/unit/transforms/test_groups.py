"""Groups are numbered as first seen; null and NaN are values."""

import numpy as np
import pyarrow as pa
import pytest

from transforms.groups import first_rows, group_numbers

NAN = float("nan")


@pytest.mark.parametrize(
    ("columns", "numbers"),
    [
        ([], [0, 0, 0, 0]),
        ([pa.array(["b", "a", "b", None])], [0, 1, 0, 2]),
        ([pa.array([NAN, 1.0, NAN, None])], [0, 1, 0, 2]),
        ([pa.array(["x", None, "x", None]).dictionary_encode()], [0, 1, 0, 1]),
        ([pa.array([1, 1, 2, 2]), pa.array([None, "a", "a", None])], [0, 1, 2, 3]),
        ([pa.array([1, 1, 1, 2]), pa.nulls(4)], [0, 0, 0, 1]),
    ],
)
def test_numbers(columns: list[pa.Array], numbers: list[int]) -> None:
    """Rows that agree in all columns have one number."""
    assert group_numbers(columns, 4).tolist() == numbers


def test_first_rows() -> None:
    """Each group's first row is found, in the order of the groups."""
    assert first_rows(np.array([0, 1, 0, 2, 1])).tolist() == [0, 1, 3]
    assert first_rows(np.array([], np.int64)).tolist() == []
