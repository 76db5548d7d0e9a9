"""Columns over a window of positions."""

import numpy as np

from connectors.broker.columns import Columns


def test_what_is_kept_survives_growth() -> None:
    """Whatever was before the base is gone, what is new is zero."""
    columns = Columns(5, {"a": np.uint8})
    columns.reserve(5, 5, 10_000)
    columns.view("a", 5, 10_000)[:] = 1
    columns.view("a", 9_990, 10_000)[:] = 2
    columns.reserve(9_995, 10_000, 30_000)
    assert columns.view("a", 9_995, 10_000).tolist() == [2] * 5
    assert not columns.view("a", 10_000, 30_000).any()


def test_positions_are_found() -> None:
    """As a slice where they are consecutive."""
    columns = Columns(5, {"a": np.int64})
    columns.reserve(5, 5, 10)
    columns.view("a", 5, 10)[:] = np.arange(5, 10)
    assert isinstance(columns.where(np.array([6, 7, 8])), slice)
    assert columns.at("a", np.array([6, 7, 8])).tolist() == [6, 7, 8]
    assert columns.at("a", np.array([6, 9])).tolist() == [6, 9]
    assert columns.at_any("a", np.array([9, 6, 6])).tolist() == [9, 6, 6]
