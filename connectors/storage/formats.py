"""Formats by their names, as a command line gives them."""

from __future__ import annotations

from collections.abc import Callable

from connectors.files.parquet import FileOptions
from connectors.files.writer import Format
from connectors.storage.avro import Avro
from connectors.storage.json_lines import JsonLines
from transforms.errors import ConfigError

__all__ = ["parse_format"]

_FORMATS: dict[str, tuple[tuple[str, ...], Callable[[str], Format]]] = {
    "jsonl": (("gzip", "zstd", "none"), JsonLines),
    "avro": (("deflate", "zstandard", "null"), Avro),
    "parquet": (
        ("zstd", "snappy", "gzip", "lz4", "none"),
        lambda codec: FileOptions(compression=codec),
    ),
}
"""The codecs of each format, the default first, and how it is made."""


def parse_format(text: str) -> Format:
    """Read a format and its codec, such as ``avro`` or ``jsonl:zstd``.

    Raises:
        ConfigError: there is no such format, or it has no such codec.
    """
    name, colon, codec = text.partition(":")
    if name not in _FORMATS:
        raise ConfigError(
            "format", text, f"must be one of {', '.join(_FORMATS)}, or one of them with its codec",
            "Write for example avro or jsonl:zstd",
        )  # fmt: skip
    codecs, make = _FORMATS[name]
    if colon and codec not in codecs:
        raise ConfigError(
            "format", text, f"{name} has no such codec", f"Use one of {', '.join(codecs)}"
        )
    return make(codec or codecs[0])
