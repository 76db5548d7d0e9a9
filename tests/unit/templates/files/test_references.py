"""References of parameter files: variables, and secrets that nobody shows."""

import sys

import pytest

from pipelines.params import ConfigError
from templates.files.references import SecretManager, resolved

SECRET = "${secret:projects/p/secrets/s}"


class Vault:
    """Secrets that a test knows, by their full names."""

    def __init__(self) -> None:
        self.read_names: list[str] = []

    def read(self, name: str) -> str:
        """Return a text that shows which version was asked for."""
        self.read_names.append(name)
        return f"<{name.rpartition('/')[2]}>"


def test_variables_are_put_in() -> None:
    """Any number of them, within any text; what they hold is not looked at again."""
    environment = {"BUCKET": "b", "PATH_": "${env:BUCKET}"}
    found = resolved("gs://${env:BUCKET}/${env:PATH_}", environment=environment)
    assert found == ("gs://b/${env:BUCKET}", False, True)


@pytest.mark.parametrize("text", ["", "plain", "$5 {a} $", "%{x}"])
def test_other_texts_stay(text: str) -> None:
    """Braces and dollars by themselves mean nothing."""
    assert resolved(text, environment={}) == (text, False, True)


def test_a_reference_can_be_meant_as_text() -> None:
    """By a second dollar."""
    assert resolved("a $${env:HOME} b", environment={}).text == "a ${env:HOME} b"


def test_secrets_are_read_by_name() -> None:
    """The latest version, or the one that is named."""
    vault = Vault()
    found = resolved(f"a={SECRET} b=${{secret:projects/p/secrets/s/versions/3}}", vault, {})
    assert found == ("a=<latest> b=<3>", True, True)
    assert vault.read_names == [
        "projects/p/secrets/s/versions/latest", "projects/p/secrets/s/versions/3",
    ]  # fmt: skip


def test_secrets_wait_if_nobody_reads_them() -> None:
    """The reference stays, and it is told that the value is not known."""
    assert resolved(f"x{SECRET}", environment={}) == (f"x{SECRET}", True, False)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("${env:MISSING}", "is not set"),
        ("${env:}", "names no environment variable"),
        ("${env:a-b}", "names no environment variable"),
        ("${HOME}", "must be ${env:NAME} or ${secret:"),
        ("${vault:x}", "must be ${env:NAME} or ${secret:"),
        ("${secret:s}", "must be ${env:NAME} or ${secret:"),
        ("${env:HOME/x", "has no } that ends it"),
        ("${secret:projects/p", "has no } that ends it"),
        ("${}", "must be ${env:NAME} or ${secret:"),
    ],
)
def test_bad_references_are_refused(text: str, rule: str) -> None:
    """Also without anybody who reads secrets."""
    with pytest.raises(ConfigError) as caught:
        resolved(text, environment={})
    assert rule in caught.value.rule
    assert caught.value.value == text


def test_a_reference_without_its_end_is_refused_within_a_text() -> None:
    """It is no plain text that means itself, as the fix says."""
    with pytest.raises(ConfigError) as caught:
        resolved("$${env:HOME}/${env:HOME", environment={"HOME": "h"})
    assert caught.value.value == "${env:HOME"
    assert caught.value.fix == "Write it, or $${ for the two characters themselves"


def test_without_the_client_a_secret_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error says what to install."""
    monkeypatch.setitem(sys.modules, "google.cloud.secretmanager_v1", None)
    monkeypatch.delattr("google.cloud.secretmanager_v1", raising=False)
    with pytest.raises(ConfigError, match="pip install google-cloud-secret-manager"):
        SecretManager().read("projects/p/secrets/s/versions/latest")


def test_without_credentials_a_secret_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: pytest.TempPathFactory
) -> None:
    """Google's client says what it lacks, and we say which secret it was."""
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", f"{tmp_path}/none.json")
    with pytest.raises(ConfigError) as caught:
        SecretManager().read("projects/p/secrets/s/versions/latest")
    assert caught.value.value == "projects/p/secrets/s/versions/latest"
    assert "none.json" in caught.value.rule
