"""A broker whose topics are declared in a file, and one that begins anew."""

import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import requests

from connectors.broker import Broker
from connectors.broker.errors import BadFile
from connectors.broker.http.listening import PortInUse, check_free
from tests.processes import ROOT

pytestmark = pytest.mark.integration

T, DEAD = "projects/p/topics/orders", "projects/p/topics/dead"
S = "projects/p/subscriptions/billing"
SCHEMA = "projects/p/schemas/order"
AVRO = {"type": "record", "name": "Order", "fields": [{"name": "id", "type": "string"}]}
WAIT_S = 20


def declared(**changes: Any) -> dict[str, Any]:
    """Return declarations of one of each kind, with changes to the subscription."""
    subscription = {
        "name": S, "topic": T, "ackDeadlineSeconds": 30, "filter": 'attributes.region = "eu"',
        "deadLetterPolicy": {"deadLetterTopic": DEAD, "maxDeliveryAttempts": 7},
    }  # fmt: skip
    return {
        "schemas": [{"name": SCHEMA, "type": "AVRO", "definition": json.dumps(AVRO)}],
        "topics": [
            {
                "name": T, "labels": {"team": "a"}, "messageRetentionDuration": "86400s",
                "schemaSettings": {"schema": SCHEMA, "encoding": "JSON"},
            },
            {"name": DEAD},
        ],
        "subscriptions": [{**subscription, **changes}],
    }  # fmt: skip


def write(tmp_path: Path, value: dict[str, Any]) -> Path:
    """Write declarations, one field a line."""
    path = tmp_path / "topics.yaml"
    path.write_text(json.dumps(value, indent=1))
    return path


def run(tmp_path: Path, path: Path | None) -> Broker:
    return Broker(tmp_path / "data", http_port=0, config=path)


def get(broker: Broker, name: str) -> Any:
    return requests.get(f"{broker.http_address}/v1/{name}", timeout=WAIT_S).json()


def test_what_is_missing_is_made(tmp_path: Path) -> None:
    """Before anybody is served, and it stays without the file."""
    with run(tmp_path, write(tmp_path, declared())) as broker:
        made = get(broker, S)
        assert made["ackDeadlineSeconds"] == 30
        assert made["deadLetterPolicy"]["maxDeliveryAttempts"] == 7
        assert get(broker, T)["schemaSettings"]["schema"] == SCHEMA
    with run(tmp_path, None) as broker:
        assert get(broker, S) == made


def test_what_differs_is_updated_and_the_rest_left_alone(tmp_path: Path) -> None:
    """Fields that the file does not give stay as they are, and so does the backlog."""
    with run(tmp_path, write(tmp_path, declared())) as broker:
        url = f"{broker.http_address}/v1/"
        body = {"subscription": {"labels": {"by": "hand"}}, "updateMask": "labels"}
        assert requests.patch(url + S, json=body, timeout=WAIT_S).status_code == 200
        message = {"data": "eyJpZCI6ImEifQ==", "attributes": {"region": "eu"}}
        body = {"messages": [message]}
        assert requests.post(f"{url}{T}:publish", json=body, timeout=WAIT_S).status_code == 200
    changed = declared(ackDeadlineSeconds=60)
    changed["topics"][0]["labels"] = {"team": "b"}
    with run(tmp_path, write(tmp_path, changed)) as broker:
        shown = get(broker, S)
        assert (shown["ackDeadlineSeconds"], shown["labels"]) == (60, {"by": "hand"})
        assert get(broker, T)["labels"] == {"team": "b"}
        pull = requests.post(
            f"{broker.http_address}/v1/{S}:pull", json={"maxMessages": 5}, timeout=WAIT_S
        )
        assert len(pull.json()["receivedMessages"]) == 1


def test_a_new_definition_of_a_schema_is_a_revision(tmp_path: Path) -> None:
    """The old one stays; the same again is none."""
    first = declared()
    second = declared()
    more = {**AVRO, "fields": [*AVRO["fields"], {"name": "n", "type": "int", "default": 0}]}
    second["schemas"][0]["definition"] = json.dumps(more)
    for value, count in ((first, 1), (first, 1), (second, 2), (second, 2)):
        with run(tmp_path, write(tmp_path, value)) as broker:
            revisions = get(broker, SCHEMA + ":listRevisions")["schemas"]
            assert len(revisions) == count


@pytest.mark.parametrize(("changes", "field", "says"), [
    ({"filter": 'attributes.region = "us"'}, "filter", "can't be changed"),
    ({"ackDeadlineSeconds": 5}, "ackDeadlineSeconds", "must be 10 to 600"),
    ({"deadLetterPolicy": {"deadLetterTopic": "projects/p/topics/no-such"}}, "name", "no-such"),
    ({"bigqueryConfig": {"table": "a.b.c"}}, "bigqueryConfig", "bigquery"),
])  # fmt: skip
def test_what_would_be_refused_changes_nothing(
    tmp_path: Path, changes: dict[str, Any], field: str, says: str
) -> None:
    """Not even what stands before it; file and line are named."""
    with run(tmp_path, write(tmp_path, declared())) as broker:
        before = {name: get(broker, name) for name in (SCHEMA, T, S)}
    value = declared(**changes)
    value["topics"][0]["labels"] = {"team": "changed"}
    path = write(tmp_path, value)
    with pytest.raises(BadFile, match=says) as refused, run(tmp_path, path):
        pass
    _, line, *_ = str(refused.value).split(":")
    assert f'"{field}' in path.read_text().splitlines()[int(line) - 1]
    with run(tmp_path, None) as broker:
        assert {name: get(broker, name) for name in (SCHEMA, T, S)} == before


def command(tmp_path: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """Run a broker that is expected to end by itself."""
    arguments = ["--data-dir", str(tmp_path / "data"), "--port", "0", *more]
    return subprocess.run(
        [sys.executable, "-m", "connectors.broker", *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=WAIT_S, check=False,
    )  # fmt: skip


def test_a_bad_file_stops_the_start(tmp_path: Path) -> None:
    """With one line, and nothing removed although a reset was asked for."""
    with run(tmp_path, write(tmp_path, declared())):
        pass
    bad = write(tmp_path, declared(ackDeadlineSeconds=5))
    missing = tmp_path / "missing.yaml"
    told = f"error: --config='{missing}': can't be read (No such file or directory). Name"
    for path, says in ((bad, "must be 10 to 600"), (missing, told)):
        done = command(tmp_path, "--config", str(path), "--reset")
        assert done.returncode == 2
        assert done.stderr.startswith("error: --config")
        assert says in done.stderr
        assert len(done.stderr.splitlines()) == 1
    with run(tmp_path, None) as broker:
        assert get(broker, S)["ackDeadlineSeconds"] == 30


def test_reset_removes_the_log_and_says_so(tmp_path: Path) -> None:
    """Other files of the directory stay; a directory in use is left alone."""
    with run(tmp_path, write(tmp_path, declared())):
        done = command(tmp_path, "--reset")
        assert done.returncode == 2
        assert "error: --data-dir: " in done.stderr
        assert "in use by another broker" in done.stderr
    (tmp_path / "data" / "notes.txt").write_text("mine")
    running = subprocess.Popen(
        [sys.executable, "-m", "connectors.broker", "--data-dir", str(tmp_path / "data"),
         "--port", "0", "--reset"],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert running.stdout
        assert "ready" in running.stdout.readline()
    finally:
        running.terminate()
        _, said = running.communicate(timeout=WAIT_S)
    assert f"removed the log of {tmp_path / 'data'}: 1 files" in said
    assert (tmp_path / "data" / "notes.txt").read_text() == "mine"
    with run(tmp_path, None) as broker:
        assert get(broker, S)["error"]["status"] == "NOT_FOUND"


def test_declared_topics_need_no_directory(tmp_path: Path) -> None:
    """A broker in memory has them from the start."""
    with Broker(None, http_port=0, config=write(tmp_path, declared())) as broker:
        assert get(broker, S)["ackDeadlineSeconds"] == 30
        metrics = requests.get(broker.http_address + "/metrics", timeout=WAIT_S).text
        assert "headrace_broker_subscriptions 1\n" in metrics
        assert requests.get(broker.http_address + "/ui/status", timeout=WAIT_S).status_code == 200


def taken_behind_a_free_one() -> socket.socket:
    """Return a listening socket whose port comes after one on which nobody listens."""
    while True:
        taken = socket.create_server(("127.0.0.1", 0))
        try:
            check_free("127.0.0.1", taken.getsockname()[1] - 1)
        except PortInUse:
            taken.close()
        else:
            return taken


def test_the_http_port_follows_that_of_grpc(tmp_path: Path) -> None:
    """The next one; where that is taken, another, which is told."""
    with taken_behind_a_free_one() as taken:
        port = taken.getsockname()[1]
        for expected in (False, True):
            if expected:
                taken.close()
            arguments = ["--data-dir", str(tmp_path), "--port", str(port - 1)]
            with subprocess.Popen(
                [sys.executable, "-m", "connectors.broker", *arguments],
                cwd=ROOT, stdout=subprocess.PIPE, text=True,
            ) as running:  # fmt: skip
                assert running.stdout
                line = running.stdout.readline()
                running.terminate()
            assert f"broker ready on 127.0.0.1:{port - 1};" in line
            assert (f"HTTP on http://127.0.0.1:{port};" in line) is expected
