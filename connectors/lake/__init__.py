"""A Parquet lake that any tool reads by its folder: ``lake.Write``."""

from connectors.files.parquet import Encodings, FileOptions
from connectors.lake.partition import Granularity, Partition
from connectors.lake.write import Write, Written

__all__ = ["Encodings", "FileOptions", "Granularity", "Partition", "Write", "Written"]
