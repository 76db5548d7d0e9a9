"""What answers mean."""

from __future__ import annotations

import grpc
import pytest
from google.cloud.bigquery_storage_v1 import types as api

from connectors import retry
from connectors.bigquery.answers import Verdict, error_of, refused_rows, verdict
from tests.fake_bigquery import appended, error, row_errors
from transforms.errors import TransientError

Code = grpc.StatusCode
Storage = api.StorageError.StorageErrorCode


def test_success() -> None:
    """Rows are in, with an offset or without."""
    assert verdict(appended(None)) is Verdict.APPENDED
    assert verdict(appended(0)) is Verdict.APPENDED


def test_row_errors_count_before_the_error() -> None:
    """An answer with reasons by row is about rows, whatever its status says."""
    answer = row_errors({2: "bad"})
    assert verdict(answer) is Verdict.BAD_ROWS
    assert refused_rows(answer) == {2: ("refused_by_bigquery", "bad")}


@pytest.mark.parametrize("code", list(retry.KINDS), ids=lambda code: code.name)
def test_every_status_has_a_verdict(code: grpc.StatusCode) -> None:
    """What is transient is tried again; offsets have their own; the rest fails."""
    found = verdict(error(code, "words"))
    special = {Code.ALREADY_EXISTS: Verdict.ALREADY_THERE, Code.OUT_OF_RANGE: Verdict.GAP}
    transient = Verdict.TRY_AGAIN if retry.KINDS[code] is TransientError else Verdict.FAILED
    assert found is special.get(code, transient)
    assert error_of(error(code, "words")).code() is code
    assert error_of(error(code, "words")).details() == "words"


@pytest.mark.parametrize(
    ("detail", "expected"),
    [
        (Storage.OFFSET_ALREADY_EXISTS, Verdict.ALREADY_THERE),
        (Storage.OFFSET_OUT_OF_RANGE, Verdict.GAP),
        (Storage.STREAM_NOT_FOUND, Verdict.STREAM_GONE),
        (Storage.STREAM_FINALIZED, Verdict.STREAM_GONE),
        (Storage.INVALID_STREAM_STATE, Verdict.STREAM_GONE),
        (Storage.SCHEMA_MISMATCH_EXTRA_FIELDS, Verdict.OTHER_SCHEMA),
        (Storage.TABLE_NOT_FOUND, Verdict.FAILED),
    ],
)
def test_details_say_more_than_the_status(detail: Storage, expected: Verdict) -> None:
    """The codes of the Storage API tell apart what shares a status."""
    assert verdict(error(Code.INVALID_ARGUMENT, "words", detail)) is expected


def test_unknown_status_may_pass() -> None:
    """A code that gRPC does not know is tried again."""
    answer = error(Code.UNKNOWN, "words")
    answer.error.code = 999
    assert verdict(answer) is Verdict.TRY_AGAIN
