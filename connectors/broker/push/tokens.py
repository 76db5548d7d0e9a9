"""The tokens that pushes carry: OpenID Connect, signed with RS256, as the service makes them.

The key lives as long as the broker. Its public half can be fetched over HTTP in both forms in
which Google publishes its own: as certificates and as JSON web keys.
"""

from __future__ import annotations

import base64
import secrets
import time
from datetime import datetime, timedelta, timezone
from functools import cached_property
from typing import Any

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

from connectors.broker.settings import PushSettings

__all__ = ["ISSUER", "Tokens"]

ISSUER = "https://accounts.google.com"
"""Who the service says it is; endpoints compare this."""

_LIFE_S = 3_600
_RENEW_S = 600
_KEY_BITS = 2_048


class Tokens:
    """Signs tokens, and tells how to check them."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, str], tuple[float, str]] = {}

    def token(self, push: PushSettings) -> str | None:
        """Return the token of a push, None where none was configured; it is used for a while."""
        if push.oidc_token is None:
            return None
        email = push.oidc_token.service_account_email
        audience = push.oidc_token.audience or push.endpoint
        now_s = time.time()
        until_s, token = self._made.get((email, audience), (0.0, ""))
        if until_s - now_s < _RENEW_S:
            until_s = now_s + _LIFE_S
            token = self._signed(email, audience, int(now_s))
            self._made[email, audience] = until_s, token
        return token

    @cached_property
    def certificates(self) -> dict[str, str]:
        """Certificates in PEM, by key id, as ``https://www.googleapis.com/oauth2/v1/certs``."""
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "headrace broker")])
        now = datetime.now(timezone.utc)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self._key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=3_650))
            .sign(self._key, hashes.SHA256())
        )
        return {self._key_id: certificate.public_bytes(serialization.Encoding.PEM).decode()}

    @cached_property
    def web_keys(self) -> dict[str, Any]:
        """A set of JSON web keys, as ``https://www.googleapis.com/oauth2/v3/certs``."""
        numbers = self._key.public_key().public_numbers()
        key = {
            "kid": self._key_id, "kty": "RSA", "alg": "RS256", "use": "sig",
            "n": _number(numbers.n), "e": _number(numbers.e),
        }  # fmt: skip
        return {"keys": [key]}

    @cached_property
    def _key(self) -> rsa.RSAPrivateKey:
        return rsa.generate_private_key(65_537, _KEY_BITS)

    @cached_property
    def _key_id(self) -> str:
        return secrets.token_hex(20)

    def _signed(self, email: str, audience: str, now_s: int) -> str:
        header = {"alg": "RS256", "kid": self._key_id, "typ": "JWT"}
        claims = {
            "aud": audience, "azp": email, "email": email, "email_verified": True,
            "exp": now_s + _LIFE_S, "iat": now_s, "iss": ISSUER, "sub": email,
        }  # fmt: skip
        text = ".".join(_encoded(msgspec.json.encode(each)) for each in (header, claims))
        signature = self._key.sign(text.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{text}.{_encoded(signature)}"


def _number(value: int) -> str:
    return _encoded(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
