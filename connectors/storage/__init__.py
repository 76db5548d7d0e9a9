"""Objects on Cloud Storage and files on disk: ``storage.Write``, ``Archive``, ``ReadArchive``."""

from connectors.storage.archive import ARCHIVE_SCHEMA, Archive
from connectors.storage.avro import Avro
from connectors.storage.folders import TimeFolders
from connectors.storage.formats import parse_format
from connectors.storage.in_order import ReadInOrder
from connectors.storage.json_columns import as_json
from connectors.storage.json_lines import JsonLines
from connectors.storage.read import (
    ArchiveFile,
    ReadArchive,
    archive_files,
    read_archive,
    read_archive_file,
)
from connectors.storage.write import Parquet, Write, Written

__all__ = [
    "ARCHIVE_SCHEMA",
    "Archive",
    "ArchiveFile",
    "Avro",
    "JsonLines",
    "Parquet",
    "ReadArchive",
    "ReadInOrder",
    "TimeFolders",
    "Write",
    "Written",
    "archive_files",
    "as_json",
    "parse_format",
    "read_archive",
    "read_archive_file",
]
