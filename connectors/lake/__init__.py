"""A Parquet lake that any tool reads by its folder: ``lake.Write``, ``lake.Compact``."""

from connectors.files.parquet import Encodings, FileOptions
from connectors.lake.compact import Compact, files_of
from connectors.lake.partition import Granularity, Partition
from connectors.lake.write import Write, Written

__all__ = [
    "Compact",
    "Encodings",
    "FileOptions",
    "Granularity",
    "Partition",
    "Write",
    "Written",
    "files_of",
]
