"""The container engine of this machine, if one is there and answers."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from pipelines.errors import ConfigError, PermanentError
from templates.image.commands import ENGINES, push_command

__all__ = ["NONE", "find_engine", "push", "run"]

NONE = "none"
"""Names no engine: the commands are printed."""

_ASK = {
    "docker": ("version", "--format={{.Server.Version}}"),
    "podman": ("info", "--format={{.Version.Version}}"),
    "buildah": ("info",),
}
_TIMEOUT_S = 60.0


def find_engine(name: str | None = None) -> str | None:
    """Return the engine to use.

    Args:
        name: the one that is wanted, or ``none``; without it, the first that answers.

    Raises:
        ConfigError: the one that is wanted is missing, or does not answer.
    """
    if name == NONE:
        return None
    for engine in (name,) if name else ENGINES:
        reason = _silent(engine)
        if reason is None:
            return engine
        if name:
            raise ConfigError(
                "--engine", name, f"can't be used: {reason}",
                "Start it; or leave --engine out, and the commands are printed",
            )  # fmt: skip
    return None


def _silent(engine: str) -> str | None:
    """Return why an engine can't be used; None if it can."""
    if shutil.which(engine) is None:
        return "it is not installed"
    try:
        done = subprocess.run(
            [engine, *_ASK[engine]],
            check=False, capture_output=True, text=True, timeout=_TIMEOUT_S,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode == 0:
        return None
    lines = done.stderr.strip().splitlines()
    return lines[-1] if lines else f"it ends with {done.returncode}"


def run(command: list[str]) -> None:
    """Run a command of an engine; what it prints goes to stderr.

    Raises:
        PermanentError: it fails; it has said why on stderr.
    """
    done = subprocess.run(command, check=False, stdout=sys.stderr)
    if done.returncode:
        raise PermanentError(f"{' '.join(command[:2])} ended with {done.returncode}")


def push(engine: str, image: str) -> str:
    """Push an image; return the digest under which the registry has it.

    Raises:
        PermanentError: the registry refuses, or the engine doesn't tell the digest.
    """
    if engine == "docker":
        run(push_command(engine, image))
        return _digest_of_docker(image)
    with tempfile.TemporaryDirectory() as folder:
        noted = Path(folder, "digest")
        run(push_command(engine, image, noted))
        return noted.read_text(encoding="utf-8").strip()


def _digest_of_docker(image: str) -> str:
    command = ["docker", "image", "inspect", "--format={{json .RepoDigests}}", image]
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise PermanentError(f"docker image ended with {done.returncode}")
    # An image has a digest for each repository that it was pushed to.
    repository = image.rpartition(":")[0]
    for name in json.loads(done.stdout) or ():
        if name.startswith(f"{repository}@"):
            return str(name.partition("@")[2])
    raise PermanentError(f"docker knows no digest of {image}, though it has pushed it")
