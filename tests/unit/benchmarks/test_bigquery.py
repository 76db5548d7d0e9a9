"""Rows to BigQuery, against Google's and Beam's own ways."""

import importlib

import pytest

from benchmarks.bigquery import PATHS, Measured, words


def test_best_rounds_are_compared() -> None:
    """Noise only slows; the figure is rows per second of the client's CPU, whatever their count."""
    measured = {
        "arrow": Measured(100_000, [0.2, 0.1]),
        "proto": Measured(100_000, [1.0, 2.0]),
        "write": Measured(100_000, [1.0]),
        "inserts": Measured(1_000, [0.04, 0.1]),
    }
    writers, pipelines = words(measured).splitlines()
    assert "1,000,000 rows per core-second" in writers
    assert writers.endswith("10.0 times as many, target 5: reached")
    assert "25,000:" in pipelines
    assert pipelines.endswith("4.0 times as many, target 5: missed")


@pytest.mark.parametrize("path", PATHS)
def test_each_path_is_there(path: str) -> None:
    """The names by which the processes find them are right."""
    module, name = PATHS[path]
    assert callable(getattr(importlib.import_module(module), name))
