"""Push configurations to settings and back."""

from typing import Any

import pytest

from connectors.broker import schema
from connectors.broker.catalog import push
from connectors.broker.errors import InvalidArgument

V1 = {"x-goog-version": "v1"}


def config(**fields: Any) -> Any:
    """Return a push configuration."""
    return schema.message("PushConfig")(**fields)


@pytest.mark.parametrize("fields", [
    {"push_endpoint": "https://example.com/push", "attributes": V1},
    {"push_endpoint": "http://127.0.0.1:8080/", "attributes": {"x-goog-version": "v1beta1"}},
    {"push_endpoint": "https://e.com", "attributes": V1, "no_wrapper": {}},
    {"push_endpoint": "https://e.com", "attributes": V1, "no_wrapper": {"write_metadata": True},
     "oidc_token": {"service_account_email": "a@b.c", "audience": "d"}},
])  # fmt: skip
def test_configuration_is_shown_as_it_was_given(fields: dict[str, Any]) -> None:
    """Each field of it survives the way to settings and back."""
    shown = config()
    push.show(shown, push.read(config(**fields)))
    assert shown == config(**fields)


@pytest.mark.parametrize("fields", [{}, {"attributes": V1}])
def test_without_endpoint_it_is_pull(fields: dict[str, Any]) -> None:
    """A pull subscription shows an empty configuration."""
    assert push.read(config(**fields)) is None
    shown = schema.message("Subscription")()
    push.show(shown.push_config, None)
    assert shown.HasField("push_config")
    assert not shown.push_config.ByteSize()


def test_version_is_shown_and_stays() -> None:
    """It is v1 where none was given, and does not change where a later one gives none."""
    first = push.read(config(push_endpoint="https://e.com"))
    assert first is not None
    assert first.attributes == V1
    beta = push.read(config(push_endpoint="https://e.com",
                            attributes={"x-goog-version": "v1beta1"}), first)  # fmt: skip
    later = push.read(config(push_endpoint="https://f.com"), beta)
    assert later is not None
    assert later.attributes == {"x-goog-version": "v1beta1"}


@pytest.mark.parametrize(("fields", "sentence"), [
    *(({"push_endpoint": endpoint}, "push_endpoint .* must be a URL such as") for endpoint in (
        "example.com", "/push", "ftp://example.com", "https://", "https://e.com:x/",
        "https://e.com:99999/", "https://[::1/")),
    ({"oidc_token": {"service_account_email": "a@b.c"}}, r"push_endpoint \(''\)"),
    ({"no_wrapper": {}}, r"push_endpoint \(''\)"),
    ({"push_endpoint": "https://e.com", "attributes": {"other": "1"}}, "only x-goog-version"),
    ({"push_endpoint": "https://e.com", "attributes": {"x-goog-version": "v2"}},
     r"x-goog-version \('v2'\): must be v1, v1beta1, v1beta2"),
    ({"push_endpoint": "https://e.com", "oidc_token": {"audience": "a"}},
     "service_account_email .* must be given"),
])  # fmt: skip
def test_bad_configurations_are_refused(fields: dict[str, Any], sentence: str) -> None:
    """A token or a form of wrapping without an endpoint is a mistake, and not pull."""
    with pytest.raises(InvalidArgument, match=sentence):
        push.read(config(**fields))


def test_update_shows_a_version() -> None:
    """Of a pull subscription too; one that is set is left alone."""
    pull, beta = config(), config(attributes={"x-goog-version": "v1beta1"})
    push.show_version(pull)
    push.show_version(beta)
    assert (dict(pull.attributes), dict(beta.attributes)) == (V1, {"x-goog-version": "v1beta1"})
