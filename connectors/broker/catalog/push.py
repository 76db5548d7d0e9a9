"""Push configurations of the API to settings and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from connectors.broker.errors import InvalidArgument
from connectors.broker.settings import OidcToken, PushSettings

__all__ = ["read", "show", "show_version"]

_VERSION = "x-goog-version"
_VERSIONS = ("v1", "v1beta1", "v1beta2")


def read(config: Any, before: PushSettings | None = None) -> PushSettings | None:
    """Return the settings for a ``PushConfig``; None, which is pull, if it names no endpoint.

    Args:
        config: from a request.
        before: what was set until now; a format version that is not given stays.

    Raises:
        InvalidArgument: a rule is broken.
    """
    version = before.attributes.get(_VERSION, _VERSIONS[0]) if before else _VERSIONS[0]
    attributes = {_VERSION: version, **_checked_attributes(config.attributes)}
    token = _read_token(config.oidc_token) if config.HasField("oidc_token") else None
    wrapper = config.WhichOneof("wrapper")
    if not (config.push_endpoint or token or wrapper):
        return None
    _check_endpoint(config.push_endpoint)
    return PushSettings(
        config.push_endpoint,
        attributes,
        token,
        wrapped=wrapper != "no_wrapper",
        write_metadata=config.no_wrapper.write_metadata,
    )


def show(config: Any, push: PushSettings | None) -> None:
    """Fill a ``PushConfig``; a pull subscription shows an empty one."""
    config.SetInParent()
    if push is None:
        return
    config.push_endpoint = push.endpoint
    config.attributes.update(push.attributes)
    if push.oidc_token:
        config.oidc_token.service_account_email = push.oidc_token.service_account_email
        config.oidc_token.audience = push.oidc_token.audience
    if not push.wrapped:
        config.no_wrapper.write_metadata = push.write_metadata
        config.no_wrapper.SetInParent()


def show_version(config: Any) -> None:
    """Show a format version as updates of the service do, also that of a pull subscription.

    Its own clients expect it (``TestIntegration_UpdateSubscription_ExpirationPolicy`` of Go's).
    """
    if not config.attributes:
        config.attributes[_VERSION] = _VERSIONS[0]


def _check_endpoint(endpoint: str) -> None:
    try:
        parts = urlsplit(endpoint)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, an address that is none
        good = False
    if not good:
        raise InvalidArgument(
            "push_endpoint", repr(endpoint), "must be a URL such as https://example.com/push"
        )


def _checked_attributes(attributes: Mapping[str, str]) -> dict[str, str]:
    for key, value in attributes.items():
        if key != _VERSION:
            raise InvalidArgument("push_config.attributes", repr(key), f"only {_VERSION} is known")
        if value not in _VERSIONS:
            raise InvalidArgument(_VERSION, repr(value), f"must be {', '.join(_VERSIONS)}")
    return dict(attributes)


def _read_token(token: Any) -> OidcToken:
    if not token.service_account_email:
        raise InvalidArgument("oidc_token.service_account_email", "''", "must be given")
    return OidcToken(token.service_account_email, token.audience)
