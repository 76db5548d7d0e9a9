"""Errors of Google's client, and texts of the service."""

import google.auth.exceptions
import pytest
import requests
from google.api_core import exceptions as api

from templates.launch.errors import Asked, explained, plain
from transforms.errors import ConfigError, TransientError

GOOGLE = Asked("my-project", "europe-west1", "https://dataflow.googleapis.com", "my-job")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(78f666ea16e50f79): There is\n a job.  ", "There is a job"),
        ("POST https://a.b/c?x=1: (78f666ea16e50f79): No.", "No"),
        ("Causes: (78f666ea16e50f79): one, (1234567890abcdef): two", "Causes: one, two"),
        ("a (b): c", "a (b): c"),
    ],
)
def test_a_text_without_what_only_the_service_can_read(text: str, expected: str) -> None:
    """Ids of its own, the method and its URL."""
    assert plain(text) == expected


def test_credentials_that_the_service_does_not_know() -> None:
    """Those that expired, or of nobody."""
    found = explained(api.Unauthenticated("Invalid."), GOOGLE)
    assert isinstance(found, ConfigError)
    assert "is not accepted by https://dataflow.googleapis.com (Invalid)" in str(found)
    refresh = google.auth.exceptions.RefreshError("invalid_grant: expired")
    found = explained(refresh, GOOGLE)
    assert isinstance(found, ConfigError)
    assert "Run gcloud auth application-default login" in found.fix


@pytest.mark.parametrize(
    "error",
    [
        requests.ConnectionError("refused"),
        requests.Timeout("late"),
        api.ServiceUnavailable("busy"),
        api.InternalServerError("oops"),
        api.TooManyRequests("slow down"),
        api.Forbidden("too fast", errors=[{"reason": "rateLimitExceeded"}]),
        api.NotFound("RPC::DEADLINE_EXCEEDED: Deadline exceeded"),
        google.auth.exceptions.TransportError("no network"),
    ],
    ids=lambda error: f"{type(error).__name__}-{error}",
)
def test_what_may_pass(error: Exception) -> None:
    """It is worth another try, and says whom it was about."""
    found = explained(error, GOOGLE)
    assert isinstance(found, TransientError)
    assert "https://dataflow.googleapis.com" in str(found)


def test_a_spec_is_named_whatever_the_status() -> None:
    """If the text is about it; but what may pass is no matter of the spec."""
    asked = GOOGLE.of("my-job", "gs://b/t.json")
    text = "Unable to open template file: gs://b/t.json."
    for error in (api.NotFound(text), api.BadRequest(text), api.Forbidden(text)):
        assert str(explained(error, asked)).startswith("--spec='gs://b/t.json': can't be read")
    assert isinstance(explained(api.ServiceUnavailable(text), asked), TransientError)
    assert "--spec" not in str(explained(api.NotFound(text), GOOGLE))


def test_another_service_that_is_not_enabled() -> None:
    """The one that is named, as Compute Engine."""
    info = {"reason": "SERVICE_DISABLED", "metadata": {"service": "compute.googleapis.com"}}
    info["@type"] = "type.googleapis.com/google.rpc.ErrorInfo"
    error = api.Forbidden("It is disabled.", details=[info], error_info=info)
    assert "gcloud services enable compute.googleapis.com" in str(explained(error, GOOGLE))
