"""The files of ``examples``: parameters of each template, at home and with names of the cloud."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.clients import Endpoint, open_storage
from templates.catalogue import TEMPLATES
from tests.commands import ROOT
from tests.storage_servers import StorageServer

__all__ = ["TEMPLATE_NAMES", "at_home", "bucket", "clone", "in_the_cloud"]

TEMPLATE_NAMES = [template.name for template in TEMPLATES]

_STEMS = {"pubsub_to_lake": "flights"}
_VARIABLE = "STORAGE_EMULATOR_HOST"
_SCHEMA = "pipelines/demo/flights.json"


def at_home(template: str) -> Path:
    """Return the parameters that work on this machine, from the folder of the clone."""
    return Path("examples") / f"{_STEMS.get(template, template)}.yaml"


def in_the_cloud(template: str) -> list[Path]:
    """Return the same with what lies above it, for ``--params`` twice."""
    home = at_home(template)
    return [home, home.with_name(f"{home.stem}.dataflow.yaml")]


def clone(folder: Path) -> Path:
    """Make a folder one in which examples work, and leave what they write; return it."""
    for name in ("benchmarks", "docs", "examples", "pipelines"):
        (folder / name).symlink_to(ROOT / name)
    return folder


@contextlib.contextmanager
def bucket(folder: Path, patch: pytest.MonkeyPatch) -> Iterator[str]:
    """Run a server of Cloud Storage with the bucket and the schema that the examples name.

    Yields:
        Its URL, which is in ``STORAGE_EMULATOR_HOST`` meanwhile.
    """
    with StorageServer(folder) as server, patch.context() as patched:
        patched.setenv(_VARIABLE, server.url)
        made = open_storage(Endpoint(server.url, _VARIABLE)).create_bucket("my-bucket")
        made.blob("schemas/flights.json").upload_from_filename(str(ROOT / _SCHEMA))
        yield server.url
