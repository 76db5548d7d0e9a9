"""Where Pub/Sub is, and how it is reached."""

from __future__ import annotations

import google.auth
import google.auth.exceptions
import pytest

from connectors.clients import Endpoint, open_channel, pubsub_endpoint
from transforms.errors import ConfigError


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
