"""Errors of the libraries of tables, as ours."""

from __future__ import annotations

import errno

import pytest
import requests
from deltalake.exceptions import CommitFailedError, DeltaError
from pyiceberg.exceptions import CommitStateUnknownException, RESTError, ServerError
from sqlalchemy.exc import OperationalError

from connectors.tables.errors import ConflictError, explained
from transforms.errors import ConfigError, HeadraceError, PermanentError, TransientError

ERRORS = (DeltaError, RESTError, OperationalError)
CONFLICTS = (CommitFailedError, CommitStateUnknownException)


def sqlite(text: str) -> OperationalError:
    return OperationalError("UPDATE t", {}, Exception(text))


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (CommitFailedError("overtaken"), ConflictError, "overtaken"),
        (CommitStateUnknownException("no answer"), ConflictError, "no answer"),
        (sqlite("database is locked"), ConflictError, "locked"),
        (sqlite("table x already exists"), ConflictError, "exists"),
        (sqlite("attempt to write a readonly database"), PermanentError, "readonly"),
        (sqlite("database or disk is full"), TransientError, "disk full"),
        (OSError(errno.ENOSPC, "No space left on device"), TransientError, "disk full"),
        (DeltaError("Generic: No space left on device (os error 28)"), TransientError, "disk full"),
        (PermissionError(errno.EACCES, "Permission denied"), PermanentError, "Permission denied"),
        (DeltaError("\x1b[31mGeneric\x1b[0m GCS error\n 503 Service Unavailable"), TransientError,
         "Generic GCS error 503 Service"),
        (DeltaError("took 503.4 ms at port 5020: no"), PermanentError, "no"),
        (ServerError("oops"), TransientError, "oops"),
        (requests.ConnectionError("refused"), TransientError, "refused"),
        (requests.Timeout("slow"), TransientError, "slow"),
    ],
)  # fmt: skip
def test_each_error_is_one_of_ours(error: Exception, kind: type[HeadraceError], text: str) -> None:
    """With the library's words, and the name of the table unless it is about the disk's room."""
    with pytest.raises(kind, match=text) as found, explained("/lake", ERRORS, CONFLICTS):
        raise error
    assert type(found.value) is kind
    assert "/lake" in str(found.value)
    assert "\x1b" not in str(found.value)


def test_errors_of_ours_and_of_programs_pass() -> None:
    """What is not the library's is not explained by it."""
    ours = ConfigError("a", 1, "b", "c")
    for error in (ours, ZeroDivisionError()):
        with pytest.raises(type(error)) as found, explained("/lake", ERRORS, CONFLICTS):
            raise error
        assert found.value is error
