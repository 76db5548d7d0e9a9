"""The files of ``examples``: parameters of each template, at home and with names of the cloud."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.clients import Endpoint, open_storage
from templates.catalogue import TEMPLATES, find
from tests.commands import ROOT
from tests.storage_servers import StorageServer

__all__ = ["TEMPLATE_NAMES", "at_home", "bucket", "clone", "in_the_cloud"]

TEMPLATE_NAMES = [template.name for template in TEMPLATES]

_VARIABLE = "STORAGE_EMULATOR_HOST"
_OBJECTS = {
    "schemas/flights.json": "pipelines/demo/flights.json",
    "udf/flights.py": "examples/udf/flights.py",
    "udf/clean.json": "examples/udf/clean.json",
}


def at_home(template: str) -> Path:
    """Return the parameters that work on this machine, from the folder of the clone."""
    return Path(find(template).examples[0])


def in_the_cloud(template: str) -> list[Path]:
    """Return the same with what lies above it, for ``--params`` twice."""
    return [Path(each) for each in find(template).examples]


def clone(folder: Path) -> Path:
    """Make a folder one in which examples work, and leave what they write; return it."""
    for name in ("benchmarks", "docs", "examples", "pipelines"):
        (folder / name).symlink_to(ROOT / name)
    return folder


@contextlib.contextmanager
def bucket(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[str]:
    """Run a server of Cloud Storage with the bucket and the files that the examples name.

    Yields:
        Its URL, which is in ``STORAGE_EMULATOR_HOST`` meanwhile.
    """
    with StorageServer(folder) as server, patch.context() as patched:
        patched.setenv(_VARIABLE, server.url)
        made = open_storage(Endpoint(server.url, _VARIABLE)).create_bucket("my-bucket")
        for name, path in _OBJECTS.items():
            made.blob(name).upload_from_filename(str(ROOT / path))
        yield server.url
