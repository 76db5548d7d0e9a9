"""Where Pub/Sub is, and how it is reached."""

from __future__ import annotations

import socket
import time

import google.auth
import google.auth.exceptions
import pytest

from connectors.clients import (
    LISTENER_S,
    Endpoint,
    bigquery_endpoint,
    open_bigquery,
    open_channel,
    pubsub_endpoint,
)
from transforms.errors import ConfigError, TransientError


def test_environment_names_a_broker() -> None:
    """With PUBSUB_EMULATOR_HOST the connection is local, and advice says how to start a broker."""
    endpoint = pubsub_endpoint({"PUBSUB_EMULATOR_HOST": "127.0.0.1:8085"})
    assert endpoint.is_local
    assert "python -m connectors.broker --port 8085" in endpoint.advice


@pytest.mark.parametrize("environment", [{}, {"PUBSUB_EMULATOR_HOST": ""}])
def test_without_environment_it_is_google(environment: dict[str, str]) -> None:
    """Without the variable, or with an empty one, it is Google's service."""
    endpoint = pubsub_endpoint(environment)
    assert endpoint == Endpoint("pubsub.googleapis.com:443")
    assert not endpoint.is_local
    assert "network" in endpoint.advice


def test_missing_credentials_say_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """Google's service without credentials is a ConfigError with the two ways out."""

    def refuse(*args: object, **kwargs: object) -> None:
        raise google.auth.exceptions.DefaultCredentialsError("none found")

    monkeypatch.setattr(google.auth, "default", refuse)
    with pytest.raises(ConfigError, match=r"gcloud auth application-default login.*EMULATOR_HOST"):
        open_channel(Endpoint("pubsub.googleapis.com:443"))


def test_missing_server_of_bigquery_is_told_at_once() -> None:
    """Google's client would try for ten minutes, and say nothing."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"
        endpoint = bigquery_endpoint({"BIGQUERY_EMULATOR_HOST": address})
        open_bigquery(endpoint, "p")
    began_s = time.monotonic()
    with pytest.raises(TransientError, match=f"nobody listens at {address}.*bigquery_local"):
        open_bigquery(endpoint, "p")
    assert time.monotonic() - began_s < LISTENER_S + 1
