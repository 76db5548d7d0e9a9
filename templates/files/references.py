"""Values that a parameter file names and does not hold: ``${env:NAME}``, ``${secret:NAME}``.

``$${`` stands for ``${`` itself. Secrets are read when a job is run, and never before.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import NamedTuple, Protocol

from pipelines.params import ConfigError

__all__ = ["Resolved", "SecretManager", "Secrets", "resolved"]

_REFERENCE = re.compile(
    r"(?P<plain>\$\$\{)|\$\{(?P<kind>[^:}]*):?(?P<name>[^}]*)\}|\$\{.*", re.DOTALL
)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SECRET = re.compile(r"projects/[^/]+/secrets/[A-Za-z0-9_-]{1,255}(/versions/[a-z0-9-]+)?")
_TIMEOUT_S = 30.0


class Secrets(Protocol):
    """Where secrets are read."""

    def read(self, name: str) -> str:
        """Return the text of ``projects/P/secrets/S/versions/V``.

        Raises:
            ConfigError: it can't be read.
        """


class Resolved(NamedTuple):
    """A text with the values in the places of their references."""

    text: str
    has_secret: bool
    is_complete: bool
    """Whether every secret was read."""


def resolved(
    text: str, secrets: Secrets | None = None, environment: Mapping[str, str] = os.environ
) -> Resolved:
    """Put in the values that a text refers to.

    Args:
        text: with any number of references.
        secrets: reads them; None leaves their references as they are.
        environment: the variables.

    Raises:
        ConfigError: a reference has no end or is none that we know, a variable is not set, or a
            secret can't be read. Its name is of the reference.
    """
    found = list(_REFERENCE.finditer(text))
    has_secret = any(each["kind"] == "secret" for each in found)

    def value(each: re.Match[str]) -> str:
        if each["plain"]:
            return "${"
        if each["kind"] is None:
            raise ConfigError(
                "reference", each[0], "has no } that ends it",
                "Write it, or $${ for the two characters themselves",
            )  # fmt: skip
        if each["kind"] == "env":
            return _variable(each, environment)
        return _secret(each, secrets)

    return Resolved(_REFERENCE.sub(value, text), has_secret, not has_secret or secrets is not None)


def _variable(reference: re.Match[str], environment: Mapping[str, str]) -> str:
    name = reference["name"]
    if not _VARIABLE.fullmatch(name):
        raise ConfigError(
            "reference", reference[0], "names no environment variable", "Write ${env:NAME}"
        )
    if name not in environment:
        raise ConfigError(
            "reference", reference[0], "names an environment variable that is not set",
            f"Set it: export {name}=...",
        )  # fmt: skip
    return environment[name]


def _secret(reference: re.Match[str], secrets: Secrets | None) -> str:
    name = reference["name"]
    if reference["kind"] != "secret" or not _SECRET.fullmatch(name):
        raise ConfigError(
            "reference", reference[0],
            "must be ${env:NAME} or ${secret:projects/PROJECT/secrets/ID}",
            "Write one of the two, or $${ for the two characters themselves",
        )  # fmt: skip
    if secrets is None:
        return reference[0]
    return secrets.read(name if "/versions/" in name else f"{name}/versions/latest")


class SecretManager:
    """Google's Secret Manager, with the account's default credentials."""

    def read(self, name: str) -> str:
        """Return the text of a version of a secret.

        Raises:
            ConfigError: there is no client, there are no credentials, or the service refuses.
        """
        try:
            # A second of imports that only those pay who use it.
            from google.api_core.exceptions import GoogleAPICallError  # noqa: PLC0415
            from google.auth.exceptions import GoogleAuthError  # noqa: PLC0415
            from google.cloud import secretmanager_v1  # noqa: PLC0415
        except ImportError as error:
            raise ConfigError(
                "secret", name, "can't be read: the client of Secret Manager is not installed",
                "Run pip install google-cloud-secret-manager",
            ) from error  # fmt: skip
        try:
            with secretmanager_v1.SecretManagerServiceClient() as client:
                answer = client.access_secret_version(name=name, timeout=_TIMEOUT_S)
            return str(answer.payload.data.decode())
        except (GoogleAPICallError, GoogleAuthError, UnicodeDecodeError) as error:
            raise ConfigError(
                "secret", name, f"can't be read ({error})",
                "Check its name, and that the account has the role Secret Manager Secret Accessor",
            ) from error  # fmt: skip
