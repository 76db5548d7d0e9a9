"""What pipelines on a broker share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.broker import Broker
from tests.topics import create


@pytest.fixture
def broker(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Broker]:
    """Run a broker with the module's ``TOPICS``, each with a subscription of its name."""
    with Broker(data_dir=tmp_path / "broker") as running:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", running.address)
        create(*request.module.TOPICS)
        yield running
