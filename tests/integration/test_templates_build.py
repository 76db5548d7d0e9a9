"""A template's spec on Cloud Storage, where a launch reads it."""

from pathlib import Path

import pytest
from google.cloud import dataflow_v1beta3 as dataflow

from connectors.clients import Endpoint, open_storage
from templates.command import main
from tests.examples import bucket

pytestmark = pytest.mark.integration

IMAGE = "--image=europe-west1-docker.pkg.dev/my-project/headrace/{name}:"


def test_spec_is_put_and_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By Google's client, on a server of Cloud Storage; a bucket that is missing is named."""
    with bucket(tmp_path / "server", monkeypatch) as url:
        place = "--spec=gs://my-bucket/templates/{name}.json"
        for version in ("0.1.0", "0.2.0"):
            assert main(["spec", "pubsub_to_lake", f"{IMAGE}{version}", place]) == 0
            written = "gs://my-bucket/templates/pubsub_to_lake.json"
            assert capsys.readouterr().out == f"spec: {written}\n"
            blob = (
                open_storage(Endpoint(url, "STORAGE_EMULATOR_HOST"))
                .bucket("my-bucket")
                .blob("templates/pubsub_to_lake.json")
            )
            read = dataflow.ContainerSpec.from_json(
                blob.download_as_text(), ignore_unknown_fields=False
            )
            assert read.image.endswith(f"/pubsub-to-lake:{version}")
            assert read.metadata.streaming
        missing = "--spec=gs://no-such-bucket/{name}.json"
        assert main(["spec", "pubsub_to_lake", f"{IMAGE}1", missing]) == 2
        error = capsys.readouterr().err
        assert "no-such-bucket" in error
