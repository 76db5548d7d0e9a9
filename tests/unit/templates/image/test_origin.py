"""Which commit an image is of."""

import subprocess
from pathlib import Path

import pytest

from templates.image.origin import Origin, origin_of

ACCOUNT = ["-c", "user.name=n", "-c", "user.email=n@example.com"]


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *ACCOUNT, *arguments], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def test_commit_and_repository(tmp_path: Path) -> None:
    """What is not committed is told, and an account of the remote is not."""
    git(tmp_path, "init", "--quiet")
    (tmp_path / "a").write_text("1")
    git(tmp_path, "add", "a")
    git(tmp_path, "commit", "--quiet", "--message=a")
    commit = git(tmp_path, "rev-parse", "HEAD")
    assert origin_of(tmp_path) == Origin(commit, "")
    (tmp_path / "a").write_text("2")
    git(tmp_path, "remote", "add", "origin", "https://me:token@example.com/headrace.git")
    assert origin_of(tmp_path) == Origin(f"{commit}-dirty", "https://example.com/headrace.git")


def test_sources_without_git_have_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An archive, or a machine on which Git is not installed."""
    assert origin_of(tmp_path) == Origin("", "")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert origin_of() == Origin("", "")
