"""A Parquet lake that any tool reads by its folder, or a table of Delta Lake or Iceberg."""

from connectors.files.parquet import Encodings, FileOptions
from connectors.lake.compact import Compact, files_of
from connectors.lake.partition import Granularity, Partition
from connectors.lake.write import Write, Written
from connectors.tables import Delta, Iceberg

__all__ = [
    "Compact",
    "Delta",
    "Encodings",
    "FileOptions",
    "Granularity",
    "Iceberg",
    "Partition",
    "Write",
    "Written",
    "files_of",
]
