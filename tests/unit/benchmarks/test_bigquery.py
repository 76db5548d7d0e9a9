"""Rows to BigQuery, in Arrow and in protocol buffers."""

from benchmarks.bigquery import words


def test_best_rounds_are_compared() -> None:
    """Noise only slows; the figure is rows per second of the client's CPU."""
    text = words({"arrow": [0.2, 0.1], "proto": [1.0, 2.0]}, 100_000)
    assert "1,000,000 rows per core-second" in text
    assert text.endswith("10.0 times as many, target 5: reached")
    assert words({"arrow": [0.3], "proto": [1.0]}, 1).endswith("missed")
