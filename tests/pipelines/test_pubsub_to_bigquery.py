"""The pipeline to BigQuery with its real command line, a real broker and a strict server."""

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.dataset as ds
import pytest

from connectors.bigquery_local import Fault, Server
from connectors.broker import Broker
from tests.bigquery_tables import PROJECT, client, serving
from tests.clicks import click, flags_of, make_table, publish, run

TOPICS = ("clicks",)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Run a server with a dataset of clicks."""
    yield from serving(monkeypatch, "clicks")


@pytest.fixture
def flags(tmp_path: Path) -> dict[str, str]:
    """Return a command line."""
    return flags_of(tmp_path)


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
    made = client().get_table(f"{PROJECT}.clicks.events")
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
