"""What all tests share: message batches, and property tests that print how to repeat them."""

import datetime as dt
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests import threads
from tests.storage_servers import StorageServer, new_bucket
from transforms.batch import Batch
from transforms.message import MESSAGE_SCHEMA

settings.register_profile(
    "laptop", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
# The same examples in each run: what is red is red because of the change at hand.
settings.register_profile("ci", settings.get_profile("laptop"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "laptop")

PUBLISHED = dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc)


def message_batch(payloads: Sequence[bytes], first_id: int = 1) -> Batch:
    """Return messages with these payloads, ids from ``first_id`` and an attribute ``key``."""
    rows = [
        {
            "data": payload,
            "attributes": [("key", f"k{number}")],
            "message_id": str(number),
            "publish_time": PUBLISHED + dt.timedelta(seconds=number),
            "ordering_key": "",
            "delivery_attempt": None,
        }
        for number, payload in enumerate(payloads, first_id)
    ]
    return Batch.from_pylist(rows, MESSAGE_SCHEMA)


@pytest.fixture(scope="session", autouse=True)
def no_thread_left() -> Iterator[None]:
    """All that the tests start ends with them."""
    yield from threads.leaving_none()


@pytest.fixture(scope="session")
def storage_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StorageServer]:
    """A server of Cloud Storage that all tests share, each with a bucket of its own."""
    with StorageServer(tmp_path_factory.mktemp("storage")) as server:
        yield server


@pytest.fixture
def bucket(storage_server: StorageServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """``gs://`` and the name of a new bucket, on a server that this process is told of."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", storage_server.url)
    return new_bucket(storage_server.url)


@pytest.fixture
def volume(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A file system of its own to be filled: 128 KiB, or the size that is its parameter."""
    folder = tmp_path / "volume"
    folder.mkdir()
    size = f"size={getattr(request, 'param', '128k')}"
    command = ["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, check=False).returncode:
        reason = "this user may not mount a file system"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)
