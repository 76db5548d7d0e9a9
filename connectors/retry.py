"""Retries, and the one place where foreign exceptions become ours.

``translate`` maps every exception of gRPC, ``google.api_core`` and ``google.auth`` to one of the
four kinds of ``transforms/errors.py``; ``call`` repeats what is transient, for a bounded time.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

import google.auth.exceptions
import grpc
import requests
from google.api_core import exceptions as api

from connectors.clients import sign_in_advice
from transforms.errors import (
    ConfigError,
    DataError,
    HeadraceError,
    PermanentError,
    TransientError,
)

__all__ = ["NOT_FOUND", "Backoff", "Subject", "call", "kind", "status", "translate"]

Result = TypeVar("Result")
Kind: TypeAlias = type[HeadraceError]

_Code = grpc.StatusCode
NOT_FOUND = _Code.NOT_FOUND

KINDS: dict[grpc.StatusCode, Kind] = {
    _Code.CANCELLED: TransientError,
    _Code.UNKNOWN: TransientError,
    _Code.DEADLINE_EXCEEDED: TransientError,
    _Code.RESOURCE_EXHAUSTED: TransientError,
    _Code.ABORTED: TransientError,
    _Code.INTERNAL: TransientError,
    _Code.UNAVAILABLE: TransientError,
    _Code.INVALID_ARGUMENT: DataError,
    _Code.OUT_OF_RANGE: DataError,
    _Code.NOT_FOUND: ConfigError,
    _Code.PERMISSION_DENIED: ConfigError,
    _Code.UNAUTHENTICATED: ConfigError,
    _Code.ALREADY_EXISTS: PermanentError,
    _Code.FAILED_PRECONDITION: PermanentError,
    _Code.UNIMPLEMENTED: PermanentError,
    _Code.DATA_LOSS: PermanentError,
}
"""What to do about each status but OK."""

# HTTP answers that google.api_core gives no gRPC status.
_HTTP_SERVER_ERROR = 500  # and above
_HTTP_TRANSIENT = frozenset({408, 425, 429})
_HTTP_CONFIG = frozenset({401, 403, 404})
_HTTP_DATA = frozenset({400, 413, 416, 422})

_REASONS_TRANSIENT = frozenset({"rateLimitExceeded", "backendError"})
"""Reasons that may pass although BigQuery answers 403 as if access were denied:
https://cloud.google.com/bigquery/docs/error-messages."""

_STATUS_OF_HTTP = {401: _Code.UNAUTHENTICATED, 403: _Code.PERMISSION_DENIED}

_LOST_ANSWERS = (
    api.RetryError, ConnectionError, TimeoutError, grpc.FutureTimeoutError,
    requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError,
)  # fmt: skip

_RULES = {
    _Code.PERMISSION_DENIED: (
        "access is denied",
        "Grant the account {role} on the project, or check which account runs this",
    ),
    _Code.UNAUTHENTICATED: (
        "the account is not known",
        "{sign_in}",
    ),
}


@dataclass(frozen=True)
class Backoff:
    """Exponential delays with full jitter, for at most ``patience_s`` in all.

    Full jitter (anything between zero and the exponential limit) spreads many clients best when
    a server comes back.
    """

    first_s: float = 0.1
    limit_s: float = 5.0
    patience_s: float = 60.0

    def delay_s(self, attempt: int, fraction: float) -> float:
        """Return the wait after a failed attempt.

        Args:
            attempt: number of the attempt that failed, from 0.
            fraction: random, from 0 to 1.
        """
        return fraction * min(self.limit_s, self.first_s * 2.0 ** min(attempt, 62))


@dataclass(frozen=True)
class Subject:
    """What a call is about, for the text of its error.

    Args:
        parameter: the parameter that names the thing, such as ``subscription``.
        value: its value.
        missing: what to do when the thing does not exist.
        unreachable: what to do when nobody answers.
        role: what the account must be granted.
        variable: the environment variable that names a local server.
    """

    parameter: str
    value: str
    missing: str
    unreachable: str
    role: str = "roles/pubsub.editor"
    variable: str = "PUBSUB_EMULATOR_HOST"


def status(error: BaseException | None) -> grpc.StatusCode | None:
    """Return the gRPC status of an error, None if it has none."""
    if isinstance(error, api.GoogleAPICallError):
        return error.grpc_status_code
    if isinstance(error, grpc.RpcError):
        code = getattr(error, "code", None)
        return code() if callable(code) else None
    return None


def kind(error: BaseException) -> Kind:
    """Return which of the four kinds an error of a client library is; unknown is permanent."""
    code = status(error)
    if isinstance(error, api.Forbidden) and not _REASONS_TRANSIENT.isdisjoint(_reasons(error)):
        return TransientError
    if code is not None:
        return KINDS.get(code, PermanentError)
    if isinstance(error, api.GoogleAPICallError):
        return _kind_of_http(error.code)
    if isinstance(error, google.auth.exceptions.GoogleAuthError):
        transient = isinstance(error, google.auth.exceptions.TransportError)
        return TransientError if transient or error.retryable else ConfigError
    return TransientError if isinstance(error, _LOST_ANSWERS) else PermanentError


def translate(error: BaseException, subject: Subject) -> HeadraceError:
    """Return the error as one of ours, with what happened and what to do."""
    if isinstance(error, HeadraceError):
        return error
    found = kind(error)
    if issubclass(found, ConfigError):
        return _config_error(error, subject)
    advice = f". {subject.unreachable}" if found is TransientError else ""
    return found(f"{subject.parameter} {subject.value}: {_text(error)}{advice}")


def call(
    function: Callable[[], Result],
    subject: Subject,
    backoff: Backoff,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
    fraction: Callable[[], float] = random.random,
) -> Result:
    """Call until it succeeds, repeating transient errors while ``backoff`` has patience.

    Raises:
        HeadraceError: the translated error; a transient one only after the patience is used up.
    """
    started_s = clock()
    attempt = 0
    while True:
        try:
            return function()
        except Exception as error:
            translated = translate(error, subject)
            delay_s = backoff.delay_s(attempt, fraction())
            patient = clock() - started_s + delay_s <= backoff.patience_s
            if not (patient and isinstance(translated, TransientError)):
                raise translated from error
        sleep(delay_s)
        attempt += 1


def _reasons(error: api.GoogleAPICallError) -> Iterator[str]:
    """Yield the reasons that the body of an HTTP answer names."""
    for item in error.errors:
        if isinstance(item, Mapping):
            yield str(item.get("reason"))


def _kind_of_http(code: int | None) -> Kind:
    if code is None or code in _HTTP_TRANSIENT or code >= _HTTP_SERVER_ERROR:
        return TransientError
    if code in _HTTP_CONFIG:
        return ConfigError
    return DataError if code in _HTTP_DATA else PermanentError


def _config_error(error: BaseException, subject: Subject) -> ConfigError:
    code = status(error)
    if code is None and isinstance(error, api.GoogleAPICallError):
        code = _STATUS_OF_HTTP.get(error.code or 0)
    rule, fix = _RULES.get(code, ("does not exist", subject.missing))
    if isinstance(error, google.auth.exceptions.GoogleAuthError):
        rule, fix = _RULES[_Code.UNAUTHENTICATED]
    if fix is not subject.missing:
        fix = fix.format(role=subject.role, sign_in=sign_in_advice(subject.variable))
    return ConfigError(subject.parameter, subject.value, f"{rule} ({_text(error)})", fix)


def _text(error: BaseException) -> str:
    code = status(error)
    details = getattr(error, "details", None)
    text = details() if callable(details) else str(error)
    return f"{code.name}: {text}" if code is not None else f"{type(error).__name__}: {text}"
