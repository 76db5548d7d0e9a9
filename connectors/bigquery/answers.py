"""What an answer to an append means, and what is to be done about it."""

from __future__ import annotations

from enum import Enum
from typing import Any

import grpc
from google.cloud.bigquery_storage_v1 import types as api

from connectors import retry
from transforms.errors import TransientError

__all__ = ["REFUSED", "AppendError", "Verdict", "refused_rows", "verdict"]

REFUSED = "refused_by_bigquery"
"""Error kind of a row that has the right types but that BigQuery does not take."""

_Code = grpc.StatusCode
_CODES = {code.value[0]: code for code in _Code}
_Storage = api.StorageError.StorageErrorCode
_STREAM_IS_GONE = (
    _Storage.STREAM_NOT_FOUND,
    _Storage.STREAM_FINALIZED,
    _Storage.INVALID_STREAM_STATE,
    _Storage.STREAM_ALREADY_COMMITTED,
)


class AppendError(grpc.RpcError):
    """The error in an answer, as ``connectors.retry`` takes it."""

    def __init__(self, code: grpc.StatusCode, text: str) -> None:
        super().__init__(f"{code.name}: {text}")
        self._code, self._text = code, text

    def code(self) -> grpc.StatusCode:
        """Return the status."""
        return self._code

    def details(self) -> str:
        """Return the server's words."""
        return self._text


class Verdict(Enum):
    """What has become of a request."""

    APPENDED = "the rows are in"
    BAD_ROWS = "some rows are refused, none is in"
    ALREADY_THERE = "the stream has rows at this offset"
    GAP = "the stream ends before this offset"
    STREAM_GONE = "the stream takes no rows any more"
    OTHER_SCHEMA = "the columns are not those of the table"
    TRY_AGAIN = "it may succeed later"
    FAILED = "it won't succeed"


def verdict(answer: Any) -> Verdict:
    """Judge an ``AppendRowsResponse``."""
    if answer.row_errors:
        return Verdict.BAD_ROWS
    if not answer.HasField("error"):
        return Verdict.APPENDED
    return _of_error(_code(answer.error), _details(answer.error))


def _of_error(code: grpc.StatusCode, details: set[Any]) -> Verdict:
    if code is _Code.ALREADY_EXISTS or _Storage.OFFSET_ALREADY_EXISTS in details:
        return Verdict.ALREADY_THERE
    if code is _Code.OUT_OF_RANGE or _Storage.OFFSET_OUT_OF_RANGE in details:
        return Verdict.GAP
    if details.intersection(_STREAM_IS_GONE):
        return Verdict.STREAM_GONE
    if _Storage.SCHEMA_MISMATCH_EXTRA_FIELDS in details:
        return Verdict.OTHER_SCHEMA
    transient = retry.KINDS.get(code) is TransientError
    return Verdict.TRY_AGAIN if transient else Verdict.FAILED


def error_of(answer: Any) -> AppendError:
    """Return the error of an answer that has one."""
    return AppendError(_code(answer.error), answer.error.message)


def refused_rows(answer: Any) -> dict[int, tuple[str, str]]:
    """Return error kind and BigQuery's words by the position of the row in the request."""
    return {error.index: (REFUSED, error.message) for error in answer.row_errors}


def _code(error: Any) -> grpc.StatusCode:
    return _CODES.get(error.code, _Code.UNKNOWN)


def _details(error: Any) -> set[Any]:
    """Return the codes of the Storage API that come with an error."""
    found = set()
    for detail in error.details:
        told = api.StorageError.pb()()
        if detail.Is(told.DESCRIPTOR) and detail.Unpack(told):
            found.add(_Storage(told.code))
    return found
