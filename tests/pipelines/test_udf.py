"""A user's function in every pipeline, in each of its forms; nothing is lost on the way."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq
import pytest

from connectors import storage
from connectors.bigquery.session import session
from connectors.bigquery_local import Server
from connectors.broker import Broker
from connectors.clients import bigquery_endpoint, open_bigquery
from pipelines import launch
from tests.account import figures, unaccounted
from tests.commands import module_of
from tests.topics import Sent, create, publish, subscription, topic

SCHEMA = [
    {"name": "id", "type": "STRING", "mode": "REQUIRED"},
    {"name": "at", "type": "TIMESTAMP", "mode": "REQUIRED"},
    {"name": "n", "type": "INTEGER"},
]
FUNCTIONS = '''
"""Of five messages one fails, one is left out, one becomes two, one is routed, and one stays."""
import pyarrow as pa
import pyarrow.compute as pc


def row(row, message):
    return fate(row, int(message["attributes"]["n"]))


def text(payload: str, message):
    return fate(payload, int(message["attributes"]["n"]))


def fate(given, n):
    if n % 5 == 0:
        raise ValueError(f"{n} is refused")
    if n % 5 == 1:
        return None
    if n % 5 == 2:
        return [given, given]
    return ("odd", given) if n % 5 == 3 else given


def batch(rows: pa.RecordBatch):
    attributes = pc.struct_field(rows["_message"], "attributes")
    numbers = pc.map_lookup(attributes, "n", "first").cast(pa.int64())
    fates = [n % 5 for n in numbers.to_pylist()]
    if 0 in fates:
        raise ValueError("one is refused")
    main = [at for at, fate in enumerate(fates) for _ in range({2: 2, 4: 1}.get(fate, 0))]
    odd = [at for at, fate in enumerate(fates) if fate == 3]
    return {"": rows.take(pa.array(main, pa.int64())), "odd": rows.take(pa.array(odd, pa.int64()))}
'''
JAVASCRIPT = """
function text(payload) {
  const n = JSON.parse(payload).n;
  if (n % 5 == 0) throw new Error(n + " is refused");
  return n % 5 == 1 ? null : payload;
}
"""
COUNT = 20
KEPT = [n for n in range(COUNT) for _ in range({2: 2, 4: 1}.get(n % 5, 0))]
"""What is left of the messages, by their numbers."""

_numbers = count()


class Place(NamedTuple):
    """Where a test works: a folder, and a name that its topics and tables have."""

    folder: Path
    name: str

    def path(self, name: str) -> str:
        """Return the path of something in the folder."""
        return str(self.folder / name)

    @property
    def source(self) -> str:
        """The flag of the subscription."""
        return f"--subscription={subscription(self.name)}"

    @property
    def out(self) -> str:
        """The topic of what comes out."""
        return f"{self.name}-out"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Run a broker."""
    with Broker(data_dir=tmp_path_factory.mktemp("broker")) as running:
        yield running.address


@pytest.fixture
def place(
    server: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> Place:
    """Return a folder with the files that all tests need, and topics."""
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", server)
    caplog.set_level(logging.INFO, "headrace")
    (tmp_path / "schema.json").write_text(json.dumps(SCHEMA))
    (tmp_path / "functions.py").write_text(FUNCTIONS)
    (tmp_path / "functions.js").write_text(JAVASCRIPT)
    name = f"events-{next(_numbers)}"
    create(name, f"{name}-out")
    return Place(tmp_path, name)


def event(number: int) -> Sent:
    """Return a message."""
    payload = {"id": f"e{number}", "at": f"2026-01-01T00:{number:02d}:00Z", "n": number}
    return Sent(json.dumps(payload).encode(), {"n": str(number)}, "key")


EVENTS = [event(number) for number in range(COUNT)]


def run(pipeline: str, *argv: str) -> int:
    """Run a pipeline to its end."""
    return launch.status(module_of(pipeline), list(argv))


def rows_in(folder: str) -> list[dict[str, Any]]:
    """Return the rows of Parquet files; none if there are none."""
    path = Path(folder)
    return pq.read_table(path).to_pylist() if any(path.rglob("*.parquet")) else []


def dead_in(place: Place) -> list[dict[str, Any]]:
    """Return the dead letters."""
    return sorted(rows_in(place.path("dead")), key=lambda each: each["data"])


# --- every pipeline, every form -------------------------------------------------------------------


def lake(place: Place) -> list[str]:
    return [place.source, f"--output={place.path('out')}", "--event_time=at"]


def files(place: Place) -> list[str]:
    return [place.source, f"--output={place.path('out')}", "--format=parquet"]


def aggregate(place: Place) -> list[str]:
    measures = "--measures=rows=count(),n=max(n)"
    return [*lake(place), measures, "--by=id", "--dedup_by=attribute:n"]


def table(place: Place) -> list[str]:
    name = place.name.replace("-", "_")
    return [place.source, f"--table=test-project.udf.{name}", "--if_missing=create"]


def bus(place: Place) -> list[str]:
    return [place.source, f"--output_topic={topic(place.out)}"]


def archive(place: Place) -> list[str]:
    flags = [place.source, f"--output={place.path('archive')}", f"--dead_letter={place.path('no')}"]
    assert run("pubsub_to_storage", *flags) == 0
    return [f"--archive={place.path('archive')}", f"--output_topic={topic(place.out)}"]


def letters(place: Place) -> list[str]:
    (place.folder / "wrong.json").write_text('[{"name": "m", "type": "STRING", "mode":"REQUIRED"}]')
    flags = [
        place.source,
        f"--output={place.path('lake')}",
        f"--dead_letter={place.path('failed')}",
    ]
    assert run("pubsub_to_lake", *flags, f"--schema={place.path('wrong.json')}") == 0
    return [f"--failures={place.path('failed')}", f"--output_topic={topic(place.out)}"]


PIPELINES: dict[str, Callable[[Place], list[str]]] = {
    "pubsub_to_lake": lake, "pubsub_to_storage": files, "pubsub_aggregate": aggregate,
    "pubsub_to_bigquery": table, "pubsub_to_pubsub": bus, "archive_replay": archive,
    "deadletter_replay": letters,
}  # fmt: skip
TYPED = ("pubsub_to_lake", "pubsub_to_storage", "pubsub_aggregate", "pubsub_to_bigquery")


@pytest.fixture
def warehouse(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run a BigQuery for the pipeline that needs one."""
    if "bigquery" not in request.node.name:
        yield
        return
    with Server(project="test-project") as running:
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", running.rest_endpoint)
        monkeypatch.setenv("BIGQUERY_STORAGE_EMULATOR_HOST", running.grpc_endpoint)
        open_bigquery(bigquery_endpoint(), "test-project").create_dataset("udf", retry=None)
        yield
        session().close()


@pytest.mark.parametrize("form", ["row", "batch", "text"])
@pytest.mark.parametrize("pipeline", PIPELINES)
def test_every_message_is_accounted_for(
    place: Place, warehouse: None, caplog: pytest.LogCaptureFixture, pipeline: str, form: str
) -> None:
    """Read + made = written + duplicates + dead + filtered + routed, on every sink."""
    del warehouse
    publish(place.name, EVENTS)
    typed = [f"--schema={place.path('schema.json')}"] if pipeline in TYPED else []
    argv = [
        *PIPELINES[pipeline](place), *typed, f"--udf={place.path(f'functions.py:{form}')}",
        f"--udf_outputs=odd={place.path('odd')}", f"--dead_letter={place.path('dead')}",
    ]  # fmt: skip
    caplog.clear()
    assert run(pipeline, *argv) == 0, caplog.text
    found = figures(caplog.text)
    if pipeline == "pubsub_aggregate":  # its answers are rows of several
        answers = rows_in(place.path("out"))
        assert sorted(row["n"] for row in answers for _ in range(row["rows"])) == KEPT
        found["written"] = sum(row["rows"] for row in answers)
    assert (found["read"], found.get("written", found.get("published"))) == (COUNT, len(KEPT))
    assert (found["dead"], found["routed"]) == (4, 4)
    assert unaccounted(found) == 0, found
    failed = dead_in(place)
    assert {(row["step"], row["error_kind"]) for row in failed} == {("UserFunction", "udf_error")}
    assert [row["data"] for row in failed] == sorted(EVENTS[n].data for n in range(0, COUNT, 5))
    assert "is refused (" in failed[0]["error"]
    odd = [row for batch in storage.read_archive(place.path("odd")) for row in batch.to_pylist()]
    assert sorted(int(dict(row["attributes"])["n"]) for row in odd) == [3, 8, 13, 18]
