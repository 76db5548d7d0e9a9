"""What tests of templates share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from connectors.clients import Endpoint, open_storage
from templates.rehearsal.job_graph import Objects
from templates.rehearsal.storage_server import STORAGE_EMULATOR_HOST, storage_server
from tests.storage_servers import require_server


@pytest.fixture(scope="session")
def objects(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Objects]:
    """A local Cloud Storage with one bucket, ``gs://bucket``."""
    require_server()
    with storage_server(tmp_path_factory.mktemp("storage")) as url:
        found = Objects(open_storage(Endpoint(url, STORAGE_EMULATOR_HOST)))
        found.make_bucket("bucket")
        yield found
