"""Refusals: what a client is told, with the codes of gRPC and of the Storage API.

``Refusal`` is the answer to one request; nothing was changed. ``RowsRefused`` also names the rows.
The numbers are those of google/rpc/code.proto and of ``StorageError`` and ``RowError`` in
google/cloud/bigquery/storage/v1/storage.proto.
"""

from __future__ import annotations

from enum import IntEnum

__all__ = [
    "Code",
    "MissingExtra",
    "OtherProject",
    "PortInUse",
    "Refusal",
    "RowsRefused",
    "StorageCode",
    "StoreInUse",
]


class Code(IntEnum):
    """A gRPC status code."""

    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14


class StorageCode(IntEnum):
    """The code of a ``StorageError``."""

    TABLE_NOT_FOUND = 1
    STREAM_ALREADY_COMMITTED = 2
    STREAM_NOT_FOUND = 3
    INVALID_STREAM_TYPE = 4
    INVALID_STREAM_STATE = 5
    STREAM_FINALIZED = 6
    SCHEMA_MISMATCH_EXTRA_FIELDS = 7
    OFFSET_ALREADY_EXISTS = 8
    OFFSET_OUT_OF_RANGE = 9


class Refusal(Exception):  # noqa: N818 - an answer, not a fault of the server
    """A request is refused and nothing was changed.

    Args:
        code: of gRPC.
        text: what the client reads.
        storage: the code of the ``StorageError`` that goes along, if there is one.
        entity: the resource that it is about; added to the text as the service does.
    """

    def __init__(
        self, code: Code, text: str, *, storage: StorageCode | None = None, entity: str = ""
    ) -> None:
        super().__init__(f"{text} Entity: {entity}" if entity else text)
        self.code, self.storage, self.entity = code, storage, entity


class RowsRefused(Refusal):
    """Some rows of a request break the table's rules, so none of it was appended.

    Args:
        rows: index in the request -> what is wrong, in ascending order.
        entity: the stream.
    """

    def __init__(self, rows: dict[int, str], entity: str = "") -> None:
        text = (
            "Errors found while processing rows. Please refer to the row_errors field for "
            "details. The list may not be complete because of the size limitations."
        )
        super().__init__(Code.INVALID_ARGUMENT, text, entity=entity)
        self.rows = rows


class MissingExtra(Exception):  # noqa: N818 - says what is missing
    """The packages of the extra ``local`` are not installed."""


class PortInUse(Exception):  # noqa: N818 - says what is in use
    """The address can't be listened on."""


class StoreInUse(Exception):  # noqa: N818 - says what is in use
    """Another process holds the data directory."""


class OtherProject(Exception):  # noqa: N818 - says what is other
    """The data directory was made for another project."""
