"""The pipeline to BigQuery with its real command line, a real broker and a strict server."""

import json
import logging
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds
import pytest

from connectors import pubsub
from connectors.bigquery.session import session
from connectors.bigquery_local import Fault, Server
from connectors.broker import Broker
from connectors.clients import bigquery_endpoint, open_bigquery
from pipelines import launch, pubsub_to_bigquery
from tests.conftest import message_batch
from tests.processes import free_port

TOPIC = "projects/demo/topics/clicks"
SUBSCRIPTION = "projects/demo/subscriptions/clicks"
PROJECT = "test-project"
SCHEMA = [
    {"name": "id", "type": "STRING", "mode": "REQUIRED"},
    {"name": "at", "type": "TIMESTAMP", "mode": "REQUIRED"},
    {"name": "n", "type": "INTEGER"},
    {"name": "kind", "type": "STRING"},
    {"name": "tags", "type": "STRING", "mode": "REPEATED"},
]


def click(number: int, **more: Any) -> bytes:
    event = {"id": f"e{number:04d}", "at": f"2026-01-01T00:{number % 60:02d}:00Z", "n": number}
    return json.dumps(event | more).encode()


@pytest.fixture
def broker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Broker]:
    with Broker(data_dir=tmp_path / "broker") as running:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", running.address)
        pubsub.create_topic(TOPIC)
        pubsub.create_subscription(SUBSCRIPTION, TOPIC)
        yield running


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with Server(project=PROJECT) as running:
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", running.rest_endpoint)
        monkeypatch.setenv("BIGQUERY_STORAGE_EMULATOR_HOST", running.grpc_endpoint)
        client = open_bigquery(bigquery_endpoint(), PROJECT)
        client.create_dataset("clicks", retry=None)
        yield running
        session().close()


@pytest.fixture
def flags(tmp_path: Path) -> dict[str, str]:
    schema = tmp_path / "clicks.json"
    schema.write_text(json.dumps(SCHEMA))
    return {
        "subscription": SUBSCRIPTION,
        "schema": str(schema),
        "dedup_by": "id",
        "table": f"{PROJECT}.clicks.events",
        "if_missing": "create",
        "dead_letter": str(tmp_path / "dead"),
    }


def publish(payloads: Sequence[bytes]) -> None:
    with pubsub.Publisher(TOPIC) as publisher:
        published = publisher.publish(message_batch(payloads))
    assert len(published.ok) == len(payloads)


def run(flags: dict[str, str], *more: str) -> int:
    return launch.status(pubsub_to_bigquery, [*(f"--{k}={v}" for k, v in flags.items()), *more])


def local(tmp_path: Path) -> list[str]:
    return [
        "--runner=local", f"--state_dir={tmp_path / 'state'}", "--max_seconds=4s",
        "--on_stop=drain", "--semantics=exactly_once",
    ]  # fmt: skip


def rows(server: Server, table: str = "events") -> list[dict[str, Any]]:
    return server.query(f"SELECT * FROM clicks.{table} ORDER BY id").to_pylist()


def rows_of(server: Server, table: str) -> list[dict[str, Any]]:
    return server.query(f"SELECT * FROM clicks.{table}").to_pylist()


def ids(server: Server, table: str = "events") -> list[str]:
    return [row["id"] for row in rows(server, table)]


def dead(flags: dict[str, str]) -> list[dict[str, Any]]:
    files = sorted(str(path) for path in Path(flags["dead_letter"]).rglob("*.parquet"))
    return ds.dataset(files, format="parquet").to_table().to_pylist() if files else []


def wanted(count: int) -> list[str]:
    return [f"e{number:04d}" for number in range(count)]


def test_each_message_is_a_row_a_duplicate_or_a_dead_letter(
    broker: Broker, server: Server, flags: dict[str, str]
) -> None:
    """What was published is in the table once, or in the dead letter with its reason."""
    publish([*map(click, range(200)), *map(click, range(50)), b"{", b"[]"])
    assert run(flags) == 0
    assert ids(server) == wanted(200)
    assert [row["data"] for row in dead(flags)] == [b"{", b"[]"]
    assert {row["pipeline"] for row in dead(flags)} == {"pubsub_to_bigquery"}


def test_values_arrive_as_they_are(broker: Broker, server: Server, flags: dict[str, str]) -> None:
    """Columns of the payload and parts of the message are what they were."""
    publish([click(7, kind="a", tags=["x", "y"])])
    assert run(flags, "--message_columns=message_id,attributes,ordering_key") == 0
    (row,) = rows(server)
    assert (row["id"], row["n"], row["kind"], row["tags"]) == ("e0007", 7, "a", ["x", "y"])
    assert row["at"].isoformat() == "2026-01-01T00:07:00+00:00"
    assert json.loads(row["attributes"]) == {"key": "k1"}
    assert row["message_id"]
    assert row["ordering_key"] == ""


def test_table_is_made_as_asked(broker: Broker, server: Server, flags: dict[str, str]) -> None:
    """Partitions, clustering and expiration are those of the flags."""
    publish([click(1)])
    assert run(
        flags, "--partition_by=day(at)", "--partition_expiration=30d", "--cluster_by=kind,n",
    ) == 0  # fmt: skip
    made = open_bigquery(bigquery_endpoint(), PROJECT).get_table(f"{PROJECT}.clicks.events")
    assert made.time_partitioning.type_ == "DAY"
    assert made.time_partitioning.field == "at"
    assert made.time_partitioning.expiration_ms == 30 * 86_400_000
    assert made.clustering_fields == ["kind", "n"]
    assert [field.mode for field in made.schema][:2] == ["REQUIRED", "REQUIRED"]


def test_rows_choose_their_table(broker: Broker, server: Server, flags: dict[str, str]) -> None:
    """A template sends each row to the table that it names; one that names none is dead."""
    publish([click(n, kind=f"k{n % 3}") for n in range(30)] + [click(99, kind="a.b"), click(98)])
    assert run(flags | {"table": PROJECT + ".clicks.of_{kind}"}) == 0
    for kind in range(3):
        assert ids(server, f"of_k{kind}") == [f"e{n:04d}" for n in range(30) if n % 3 == kind]
    assert sorted(json.loads(row["data"])["id"] for row in dead(flags)) == ["e0098", "e0099"]


def make_table(**kinds: dict[str, str]) -> None:
    """Make the table with other types or modes of some columns."""
    from google.cloud import bigquery  # noqa: PLC0415 - a second of imports

    columns = [
        bigquery.SchemaField.from_api_repr(field | kinds.get(field["name"], {})) for field in SCHEMA
    ]
    table = bigquery.Table(f"{PROJECT}.clicks.events", columns)
    open_bigquery(bigquery_endpoint(), PROJECT).create_table(table, retry=None)


def test_row_without_a_required_value_is_dead(
    broker: Broker, server: Server, flags: dict[str, str]
) -> None:
    """What the payload's schema allows and the table does not is dead; the good rows are in."""
    make_table(n={"mode": "REQUIRED"})
    publish([*map(click, range(10)), click(11, n=None), click(12, n=None)])
    assert run(flags | {"if_missing": "refuse"}) == 0
    assert ids(server) == wanted(10)
    assert [row["error_kind"] for row in dead(flags)] == ["missing_field"] * 2
    assert all("$.n" in row["error"] for row in dead(flags))
    assert [json.loads(row["data"])["id"] for row in dead(flags)] == ["e0011", "e0012"]


@pytest.mark.parametrize("semantics", ["at_least_once", "exactly_once"])
def test_row_that_bigquery_refuses_is_dead_with_its_words(
    broker: Broker, server: Server, flags: dict[str, str], tmp_path: Path, semantics: str
) -> None:
    """Text that is no JSON can't be in a JSON column: only the server knows, and says why."""
    make_table(kind={"type": "JSON"})
    publish([click(n, kind='{"a": 1}') for n in range(10)] + [click(11, kind="{"), click(12)])
    more = local(tmp_path) if semantics == "exactly_once" else []
    assert run(flags, *more) == 0
    assert ids(server) == [*wanted(10), "e0012"]
    (bad,) = dead(flags)
    assert bad["error_kind"] == "refused_by_bigquery"
    assert "JSON" in bad["error"]
    assert json.loads(bad["data"])["id"] == "e0011"


def test_exactly_once_on_the_local_runner(
    broker: Broker, server: Server, flags: dict[str, str], tmp_path: Path
) -> None:
    """Faults of the server before and after appends, and flushes: each row is there once."""
    for number in range(6):
        publish(list(map(click, range(100 * number, 100 * (number + 1)))))
    server.faults.add(Fault("UNAVAILABLE", method="AppendRows", times=1))
    server.faults.add(Fault("INTERNAL", method="AppendRows", after=True, times=1))
    server.faults.add(Fault("ABORTED", method="AppendRows", in_response=True, times=1))
    server.faults.add(Fault("UNAVAILABLE", method="FlushRows", after=True, times=1))
    server.faults.add(Fault("UNAVAILABLE", method="CreateWriteStream", times=1))
    assert run(flags, *local(tmp_path), "--shards=2") == 0
    assert ids(server) == wanted(600)
    assert server.faults.left() == 0


@pytest.mark.parametrize("semantics", ["at_least_once", "exactly_once"])
@pytest.mark.parametrize("place", ["folder", "table"])
@pytest.mark.usefixtures("broker")
def test_last_line_accounts_for_every_message(
    server: Server, flags: dict[str, str], caplog: pytest.LogCaptureFixture,
    semantics: str, place: str,
) -> None:  # fmt: skip
    """Published is written, duplicates and dead, wherever dead letters are kept."""
    caplog.set_level(logging.INFO, "headrace")
    make_table(kind={"type": "JSON"})
    good = [click(n, kind="1") for n in range(60)]
    publish([*good, *good[:25], b"{", b"[]", click(77, kind="{"), click(78, n="x")])
    if place == "table":
        flags |= {"dead_letter": f"{PROJECT}.clicks.dead"}
    folder = Path(flags["schema"]).parent
    assert run(flags, *(local(folder) if semantics == "exactly_once" else [])) == 0
    assert len(rows(server)) == 60
    there = len(rows_of(server, "dead")) if place == "table" else len(dead(flags))
    assert there == 4
    last = [text for text in caplog.messages if " read " in text][-1]
    assert re.search(r"\b89 read .* 60 written +25 dup +4 dead\b", last), last


def test_exactly_once_names_bad_rows(
    broker: Broker, server: Server, flags: dict[str, str], tmp_path: Path
) -> None:
    """Rejected rows of a run without end keep their message, and cost no good row."""
    publish([*map(click, range(50)), b"{"])
    assert run(flags, *local(tmp_path)) == 0
    assert ids(server) == wanted(50)
    assert [row["data"] for row in dead(flags)] == [b"{"]


BAD_FLAGS = {
    "table": ({"table": "clicks"}, [], ["--table='clicks'", "PROJECT.DATASET.TABLE"]),
    "template": ({"table": "test-project.clicks.{gone}"}, [], ["gone", "--schema"]),
    "brace": ({"table": PROJECT + ".clicks.{kind"}, [], ["--table=", "brace"]),
    "semantics": ({}, ["--semantics=twice"], ["--semantics='twice'", "exactly_once"]),
    "bounded": ({}, ["--semantics=exactly_once"], ["--semantics='exactly_once'", "--state_dir"]),
    "missing": (
        {"if_missing": "refuse"}, [],
        ["--table='test-project.clicks.events'", "does not exist", "--if_missing=create"],
    ),
    "dataset": (
        {"table": f"{PROJECT}.gone.events"}, [],
        ["dataset='test-project.gone'", "does not exist", "bq mk test-project:gone"],
    ),
    "no dataset, no table": (
        {"table": f"{PROJECT}.gone.events", "if_missing": "refuse"}, [],
        ["--table='test-project.gone.events'", "does not exist"],
    ),
    "partition": ({}, ["--partition_by=week(at)"], ["--partition_by='week(at)'", "month"]),
    "no partition": (
        {}, ["--partition_by=day(gone)"],
        ["--partition_by='day(gone)'", "no column of the rows", "Use one of id, at, n"],
    ),
    "partition of text": (
        {}, ["--partition_by=day(kind)"], ["--partition_by='day(kind)'", "STRING", "TIMESTAMP"],
    ),
    "no column": ({}, ["--cluster_by=id,gone"], ["--cluster_by='id,gone'", "names gone"]),
    "repeated": ({}, ["--cluster_by=tags"], ["--cluster_by='tags'", "REPEATED"]),
    "no key": ({}, ["--primary_key=gone"], ["--primary_key='gone'", "Use one of"]),
    "unused": ({"if_missing": "refuse"}, ["--cluster_by=n"], ["--cluster_by", "--if_missing"]),
    "part": ({}, ["--message_columns=body"], ["--message_columns='body'", "message_id"]),
    "changes": ({}, ["--change_type=kind", "--semantics=exactly_once"], ["upserts"]),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD_FLAGS)
def test_bad_flag_is_refused_before_anything_starts(
    broker: Broker, server: Server, name: str, flags: dict[str, str],
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """The error names flag, value, rule and fix, and no message is taken."""
    changes, more, words = BAD_FLAGS[name]
    publish([click(1)])
    assert run(flags | changes, *more) == 2
    text = capsys.readouterr().err
    assert text.startswith("error: ")
    assert all(word in text for word in words), text


@pytest.mark.parametrize(
    ("kind", "more", "words"),
    [
        ("STRING", [], "n (int64) can't be written to a column that is sent as string"),
        ("INTEGER", ["--message_columns=message_id"], "message_id (string) is no column of the"),
    ],
)
@pytest.mark.usefixtures("broker", "server")
def test_table_that_can_not_take_the_rows_is_refused_before_anything_starts(
    flags: dict[str, str], kind: str, more: list[str], words: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Even without a message: the flag, the table, the column and its type are named."""
    make_table(n={"type": kind})
    assert run(flags, *more) == 2
    text = capsys.readouterr().err
    assert text.startswith(f"error: --table='{flags['table']}': can't take the rows: {words}")


def test_unreachable_server_is_named(
    broker: Broker, flags: dict[str, str], monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Where nobody answers, the address and the command that starts a server are shown."""
    address = f"127.0.0.1:{free_port()}"
    monkeypatch.setenv("BIGQUERY_STORAGE_EMULATOR_HOST", address)
    assert run(flags | {"if_missing": "refuse"}) == 1
    text = capsys.readouterr().err
    assert address in text
    assert "python -m connectors.bigquery_local" in text
