"""The broker's README: what it shows works."""

import re
from pathlib import Path

import pytest
import requests

from connectors import broker as package
from connectors.broker import Broker

pytestmark = pytest.mark.integration

README = (Path(package.__file__).parent / "README.md").read_text()
WAIT_S = 20


def test_the_calls_by_curl_work(tmp_path: Path) -> None:
    """In their order; the last needs an ack id, which the one before has given."""
    calls = re.findall(r"^curl -X (\w+) +\$B(\S+) -d '(.*)'$", README, re.MULTILINE)
    assert len(calls) == 5
    ack_id = "..."
    with Broker(data_dir=tmp_path, http_port=0) as broker:
        for verb, path, body in calls:
            answer = requests.request(
                verb,
                f"{broker.http_address}/v1{path}",
                data=body.replace("...", ack_id),
                timeout=WAIT_S,
            )
            assert answer.status_code == 200, answer.text
            if path.endswith(":pull"):
                ack_id = answer.json()["receivedMessages"][0]["ackId"]


def test_the_declarations_work(tmp_path: Path) -> None:
    """All of them are made."""
    blocks = re.findall(r"^```yaml\n(topics:.*?)^```$", README, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 1
    path = tmp_path / "topics.yaml"
    path.write_text(blocks[0])
    with Broker(None, http_port=0, config=path) as broker:
        for name in re.findall(r"- name: (\S+)", blocks[0]):
            answer = requests.get(f"{broker.http_address}/v1/{name}", timeout=WAIT_S)
            assert answer.json()["name"] == name
