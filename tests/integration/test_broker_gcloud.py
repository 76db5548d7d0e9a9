"""Google's command line against the broker's REST API, where it is installed."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors.broker import Broker

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(not shutil.which("gcloud"), reason="gcloud is not installed"),
]

AVRO = {"type": "record", "name": "R", "fields": [{"name": "x", "type": "string"}]}
Gcloud = Callable[..., Any]


@pytest.fixture
def gcloud(tmp_path: Path) -> Iterator[Gcloud]:
    """Run ``gcloud pubsub`` against a broker; return what it prints as JSON."""
    with Broker(data_dir=tmp_path / "data", http_port=0) as broker:
        environment = os.environ | {
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_PUBSUB": f"{broker.http_address}/",
            "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "true",
            "CLOUDSDK_CONFIG": str(tmp_path / "gcloud"),
            "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
            "CLOUDSDK_CORE_PROJECT": "demo",
        }

        def run(*words: str) -> Any:
            done = subprocess.run(
                ["gcloud", "pubsub", *words, "--format=json"],
                capture_output=True, text=True, env=environment, timeout=120, check=False,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
            return json.loads(done.stdout or "null")

        yield run


def test_messages_go_through(gcloud: Gcloud) -> None:
    """Create, publish, pull, snapshot, seek, detach, delete."""
    gcloud("topics", "create", "events", "--labels=a=b", "--message-retention-duration=1d")
    gcloud(
        "subscriptions", "create", "mine", "--topic=events", "--ack-deadline=20",
        "--message-filter=attributes:kind", "--retain-acked-messages", "--expiration-period=never",
    )  # fmt: skip
    gcloud("topics", "publish", "events", "--message=no")
    gcloud("topics", "publish", "events", "--message=yes", "--attribute=kind=x")
    [received] = gcloud("subscriptions", "pull", "mine", "--auto-ack", "--limit=5")
    assert received["message"]["attributes"] == {"kind": "x"}
    gcloud("snapshots", "create", "before", "--subscription=mine")
    gcloud("subscriptions", "seek", "mine", "--time=2026-01-01T00:00:00Z")
    [again] = gcloud("subscriptions", "pull", "mine", "--auto-ack", "--limit=5")
    assert again["message"]["messageId"] == received["message"]["messageId"]
    gcloud("subscriptions", "seek", "mine", "--snapshot=before")
    assert gcloud("subscriptions", "pull", "mine") == []
    gcloud("subscriptions", "update", "mine", "--ack-deadline=30")
    gcloud("topics", "delete", "events")
    shown = gcloud("subscriptions", "describe", "mine")
    assert (shown["topic"], shown["ackDeadlineSeconds"]) == ("_deleted-topic_", 30)


def test_schemas_and_policies(gcloud: Gcloud) -> None:
    """Create, validate, commit, list; bind a role."""
    gcloud("schemas", "create", "state", "--type=avro", f"--definition={json.dumps(AVRO)}")
    gcloud(
        "schemas", "validate-message", "--schema-name=state", "--message-encoding=json",
        '--message={"x":"1"}',
    )  # fmt: skip
    gcloud("topics", "create", "checked", "--schema=state", "--message-encoding=json")
    gcloud("topics", "publish", "checked", '--message={"x":"1"}')
    with pytest.raises(AssertionError, match="INVALID_JSON_AVRO_MESSAGE"):
        gcloud("topics", "publish", "checked", '--message={"y":"1"}')
    member, role = "--member=user:a@example.com", "--role=roles/pubsub.publisher"
    policy = gcloud("topics", "add-iam-policy-binding", "checked", member, role)
    assert policy["bindings"] == [
        {"members": ["user:a@example.com"], "role": "roles/pubsub.publisher"}
    ]
