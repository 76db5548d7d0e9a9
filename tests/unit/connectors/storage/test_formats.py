"""Formats by their names."""

from __future__ import annotations

import pytest

from connectors.storage import Avro, JsonLines, Parquet, parse_format
from transforms.errors import ConfigError


def test_a_format_has_a_codec_of_its_own() -> None:
    """The default without, any that it knows with a colon."""
    assert parse_format("avro") == Avro("deflate")
    assert parse_format("jsonl:zstd") == JsonLines("zstd")
    assert parse_format("parquet:snappy") == Parquet(compression="snappy")


@pytest.mark.parametrize("text", ["", "csv", "avro:gzip", ":gzip", "parquet:lzma"])
def test_others_are_refused(text: str) -> None:
    """With the names there are."""
    with pytest.raises(ConfigError, match=r"one of .*|no such codec"):
        parse_format(text)
