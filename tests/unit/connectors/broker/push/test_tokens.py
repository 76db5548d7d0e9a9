"""Tokens of pushes, checked as an endpoint would, by Google's own library."""

import pytest
from google.auth import jwt

from connectors.broker.push.tokens import ISSUER, Tokens
from connectors.broker.settings import OidcToken, PushSettings

EMAIL = "pusher@p.iam.gserviceaccount.com"


def push(audience: str = "", email: str = EMAIL) -> PushSettings:
    """Return where to push, with a token."""
    return PushSettings("https://example.com/push", oidc_token=OidcToken(email, audience))


def test_token_is_what_endpoints_check() -> None:
    """Signature, issuer, audience, e-mail address and times."""
    tokens = Tokens()
    token = tokens.token(push("me"))
    claims = jwt.decode(token, certs=tokens.certificates, audience="me")
    assert (claims["iss"], claims["email"], claims["email_verified"]) == (ISSUER, EMAIL, True)
    assert claims["exp"] - claims["iat"] == 3_600


def test_audience_is_the_endpoint_unless_it_is_given() -> None:
    """As the API says."""
    tokens = Tokens()
    claims = jwt.decode(tokens.token(push()), certs=tokens.certificates)
    assert claims["aud"] == "https://example.com/push"


def test_token_is_made_once_per_account_and_audience() -> None:
    """Signing takes a millisecond; it holds for an hour."""
    tokens = Tokens()
    assert tokens.token(push()) is tokens.token(push())
    assert tokens.token(push()) != tokens.token(push("me"))
    assert tokens.token(push()) != tokens.token(push(email="other@p.iam.gserviceaccount.com"))


def test_no_token_without_an_account() -> None:
    """Pushes carry none then."""
    assert Tokens().token(PushSettings("https://example.com/push")) is None


def test_another_broker_signs_with_another_key() -> None:
    """Its tokens don't pass."""
    with pytest.raises(ValueError, match=r"[Cc]ertificate|key id|signature"):
        jwt.decode(Tokens().token(push()), certs=Tokens().certificates)


def test_web_keys_are_of_the_same_key() -> None:
    """Both forms in which Google publishes its own."""
    tokens = Tokens()
    [key] = tokens.web_keys["keys"]
    assert [key["kid"]] == list(tokens.certificates)
    assert (key["kty"], key["alg"], key["e"]) == ("RSA", "RS256", "AQAB")
