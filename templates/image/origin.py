"""Which commit of which repository a clone holds, as Git tells."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import NamedTuple

from templates.image.own_wheel import ROOT

__all__ = ["Origin", "origin_of"]

_ACCOUNT = re.compile(r"^(https?://)[^/@]*@")
_TIMEOUT_S = 30.0


class Origin(NamedTuple):
    """A commit and a repository; either is empty if it is unknown."""

    revision: str
    """With ``-dirty`` if files differ from the commit."""
    source: str


def origin_of(root: Path = ROOT) -> Origin:
    """Return the origin of a clone; of sources without Git, nothing."""
    revision = _git(root, "rev-parse", "HEAD")
    if revision and _git(root, "status", "--porcelain"):
        revision += "-dirty"
    source = _git(root, "remote", "get-url", "origin")
    # An image is read by others than its maker: no account and no token of the remote's.
    return Origin(revision, _ACCOUNT.sub(r"\1", source))


def _git(root: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", *arguments],  # noqa: S607
            cwd=root, check=False, capture_output=True, text=True, timeout=_TIMEOUT_S,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
