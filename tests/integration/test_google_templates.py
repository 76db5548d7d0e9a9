"""A job of Google's is imported and runs at home: what it would have written is there."""

import base64
import json
import shlex
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from google.cloud import bigquery

from connectors.bigquery_local import Server
from templates.command import main
from templates.google.written import TODO
from tests.bigquery_tables import client, serving
from tests.commands import ROOT
from tests.processes import python, wait_until

pytestmark = pytest.mark.integration

LIMIT_S = 90
TABLE = "test-project.flights.departures"
FUNCTION = """
function transform(text) {
  const row = JSON.parse(text);
  row.origin = row.origin.toLowerCase();
  return row.carrier == "XX" ? null : JSON.stringify(row);
}
"""
COLUMNS = [
    bigquery.SchemaField("event_id", "STRING", mode="REQUIRED"),
    bigquery.SchemaField("carrier", "STRING"),
    bigquery.SchemaField("origin", "STRING"),
]
FLIGHTS = [
    {"event_id": f"f{number}", "carrier": "XX" if number % 5 == 0 else "UA", "origin": "EWR"}
    for number in range(200)
]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Run BigQuery with the table that Google's template needs too."""
    for running in serving(monkeypatch, "flights"):
        client().create_table(bigquery.Table(TABLE, COLUMNS), retry=None)
        yield running


def run(folder: Path, template: str, is_done: Callable[[], bool]) -> None:
    """Run the imported file until all is there, then end the job."""
    command = (
        f"-m templates run {template} --params params.yaml --broker=embedded"
        " --messages messages.jsonl"
    )
    log = folder / "log"
    with log.open("w") as output:
        process = python(*shlex.split(command), cwd=folder, stdout=output, stderr=output)
    try:
        wait_until(lambda: is_done() or process.poll() is not None, LIMIT_S)
        process.send_signal(signal.SIGTERM)
        assert process.wait(LIMIT_S) == 0, log.read_text()
    except TimeoutError:
        pytest.fail(log.read_text())
    finally:
        process.kill()
        process.wait()


def bq_show_schema() -> str:
    """Return what the command prints that the imported file names."""
    return json.dumps([field.to_api_repr() for field in client().get_table(TABLE).schema])


def test_a_job_to_bigquery(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A body of PubSub_to_BigQuery_Flex with a function in JavaScript, as the API takes it."""
    body: dict[str, Any] = {
        "jobName": "flights",
        "containerSpecGcsPath": "gs://dataflow-templates-us-central1/latest/flex/"
        "PubSub_to_BigQuery_Flex",
        "parameters": {
            "inputSubscription": "projects/demo/subscriptions/flights",
            "outputTableSpec": "test-project:flights.departures",
            "useStorageWriteApi": "true",
            "numStorageWriteApiStreams": "1",
            "storageWriteApiTriggeringFrequencySec": "5",
            "javascriptTextTransformGcsPath": "function.js",
            "javascriptTextTransformFunctionName": "transform",
        },
    }
    monkeypatch.chdir(tmp_path)
    Path("body.json").write_text(json.dumps({"launchParameter": body}))
    Path("function.js").write_text(FUNCTION)
    lines = [json.dumps(each) for each in FLIGHTS] + ["no JSON"]
    Path("messages.jsonl").write_text("\n".join(lines))

    assert main(["import-google", "body.json", "--output", "params.yaml"]) == 0
    Path("schema.json").write_text(bq_show_schema())
    imported = Path("params.yaml").read_text()
    assert imported.count(TODO) == 1
    Path("params.yaml").write_text(imported.replace(TODO, ""))

    wanted = Counter(each["event_id"] for each in FLIGHTS if each["carrier"] != "XX")

    def rows(columns: str, table: str) -> list[dict[str, Any]]:
        return server.query(f"SELECT {columns} FROM flights.{table}").to_pylist()

    def is_done() -> bool:
        tables = {each.table_id for each in client().list_tables("flights")}
        dead = "departures_dead_letters"
        return len(rows("event_id", "departures")) >= len(wanted) and (
            dead in tables and len(rows("error", dead)) >= 1
        )

    run(tmp_path, "pubsub_to_bigquery", is_done)
    found = rows("event_id, origin", "departures")
    assert Counter(each["event_id"] for each in found) == wanted
    assert {each["origin"] for each in found} == {"ewr"}
    [dead] = rows("error, data", "departures_dead_letters")
    assert bytes(dead["data"]) == b"no JSON"


def test_a_job_to_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The script of the examples for Cloud_PubSub_to_GCS_Text_Flex, with nothing to fill in."""
    monkeypatch.chdir(tmp_path)
    lines = [json.dumps(each) for each in FLIGHTS]
    Path("messages.jsonl").write_text("\n".join(lines))
    example = ROOT / "examples/google/text.sh"
    assert main(["import-google", str(example), "--output", "params.yaml"]) == 0
    assert TODO not in Path("params.yaml").read_text()
    folder = tmp_path / "headrace-run" / "text"

    def payloads() -> list[str]:
        messages = [
            json.loads(line)
            for path in folder.glob("[0-9]*/[0-9]*/[0-9]*/*.jsonl")
            for line in path.read_text().splitlines()
        ]
        return [base64.b64decode(each["data"]).decode() for each in messages]

    run(tmp_path, "pubsub_to_storage", lambda: len(payloads()) >= len(lines))
    assert Counter(payloads()) == Counter(lines)
