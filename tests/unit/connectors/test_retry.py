"""Backoff, the table of foreign errors, and bounded retries."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import google.auth.exceptions
import grpc
import pytest
from google.api_core import exceptions as api

from connectors import retry
from tests.fake_grpc import Refusal
from transforms.errors import (
    ConfigError,
    DataError,
    HeadraceError,
    PermanentError,
    TransientError,
)

SUBJECT = retry.Subject(
    "subscription", "projects/p/subscriptions/s", "Create it so", "Start the broker so"
)


class Time:
    """A clock that moves only while someone sleeps."""

    def __init__(self) -> None:
        self.now_s = 1_000.0
        self.slept_s: list[float] = []

    def clock(self) -> float:
        """Return the time."""
        return self.now_s

    def sleep(self, seconds: float) -> None:
        """Move on."""
        self.slept_s.append(seconds)
        self.now_s += seconds


def failing(*errors: BaseException) -> Callable[[], str]:
    """Return a function that raises each error once and then succeeds."""
    left: Iterator[BaseException] = iter(errors)

    def function() -> str:
        error = next(left, None)
        if error is not None:
            raise error
        return "done"

    return function


def call(function: Callable[[], str], backoff: retry.Backoff, time: Time) -> str:
    """Retry with all the jitter there is."""
    return retry.call(
        function, SUBJECT, backoff, clock=time.clock, sleep=time.sleep, fraction=lambda: 1.0
    )


@pytest.mark.parametrize(
    ("attempt", "fraction", "delay_s"),
    [(0, 1.0, 0.1), (1, 1.0, 0.2), (5, 1.0, 3.2), (6, 1.0, 5.0), (5_000, 1.0, 5.0), (3, 0.5, 0.4),
     (9, 0.0, 0.0)],
)  # fmt: skip
def test_delay_doubles_to_its_limit(attempt: int, fraction: float, delay_s: float) -> None:
    """The delay doubles up to the limit and is anything from zero to that."""
    backoff = retry.Backoff(first_s=0.1, limit_s=5.0)
    assert backoff.delay_s(attempt, fraction) == pytest.approx(delay_s)


@pytest.mark.parametrize(
    "code", [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK]
)
def test_every_status_has_a_kind(code: grpc.StatusCode) -> None:
    """No status of gRPC is left to chance, and api_core's exceptions agree with it."""
    assert retry.kind(Refusal(code)) is retry.KINDS[code]
    assert retry.kind(api.from_grpc_status(code, "text")) is retry.KINDS[code]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (api.BadGateway("x"), TransientError),
        (api.GatewayTimeout("x"), TransientError),
        (api.from_http_status(408, "x"), TransientError),
        (api.TooManyRequests("x"), TransientError),
        (api.RetryError("x", cause=None), TransientError),
        (ConnectionResetError(), TransientError),
        (TimeoutError(), TransientError),
        (grpc.FutureTimeoutError(), TransientError),
        (google.auth.exceptions.TransportError("x"), TransientError),
        (api.from_http_status(413, "x"), DataError),
        (api.BadRequest("x"), DataError),
        (api.from_http_status(401, "x"), ConfigError),
        (api.Forbidden("x"), ConfigError),
        (api.Forbidden("x", errors=[{"reason": "accessDenied"}]), ConfigError),
        (api.Forbidden("x", errors=[{"reason": "rateLimitExceeded"}]), TransientError),
        (google.auth.exceptions.DefaultCredentialsError("x"), ConfigError),
        (api.Conflict("x"), PermanentError),
        (api.MovedPermanently("x"), PermanentError),
        (ValueError("a fault of ours"), PermanentError),
    ],
)
def test_errors_without_grpc_status(error: Exception, kind: type[HeadraceError]) -> None:
    """HTTP answers, credentials and the network fall under the same four kinds."""
    assert retry.kind(error) is kind
    assert type(retry.translate(error, SUBJECT)) is kind


def test_missing_resource_says_how_to_create_it() -> None:
    """NOT_FOUND names the parameter, its value, what the server said, and the fix."""
    text = str(retry.translate(Refusal(grpc.StatusCode.NOT_FOUND, "no such thing"), SUBJECT))
    assert text == (
        "subscription='projects/p/subscriptions/s': does not exist (NOT_FOUND: no such thing). "
        "Create it so"
    )


def test_denied_access_is_not_reported_as_missing() -> None:
    """PERMISSION_DENIED advises a role."""
    text = str(retry.translate(Refusal(grpc.StatusCode.PERMISSION_DENIED), SUBJECT))
    assert "access is denied" in text
    assert "roles/pubsub" in text


def test_our_own_errors_pass_unchanged() -> None:
    """What is one of ours already is not wrapped again."""
    error = DataError("row 3")
    assert retry.translate(error, SUBJECT) is error


def test_transient_errors_are_repeated_with_growing_delays() -> None:
    """Three failures cost three delays, then the result comes."""
    time = Time()
    down = Refusal(grpc.StatusCode.UNAVAILABLE)
    assert call(failing(down, down, down), retry.Backoff(first_s=1.0), time) == "done"
    assert time.slept_s == [1.0, 2.0, 4.0]


def test_patience_is_bounded() -> None:
    """A server that stays away is a TransientError, raised before patience is exceeded."""
    time = Time()
    down = [Refusal(grpc.StatusCode.UNAVAILABLE)] * 100
    with pytest.raises(TransientError, match=r"UNAVAILABLE.*Start the broker so"):
        call(failing(*down), retry.Backoff(first_s=1.0, limit_s=5.0, patience_s=20.0), time)
    assert time.slept_s == [1.0, 2.0, 4.0, 5.0, 5.0]


@pytest.mark.parametrize("code", [grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.UNIMPLEMENTED])
def test_other_errors_are_raised_at_once(code: grpc.StatusCode) -> None:
    """What can't get better is not repeated, and the foreign error is kept as the cause."""
    time = Time()
    with pytest.raises(retry.KINDS[code]) as caught:
        call(failing(Refusal(code)), retry.Backoff(), time)
    assert time.slept_s == []
    assert isinstance(caught.value.__cause__, Refusal)
