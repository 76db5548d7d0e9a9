"""What the pipeline to BigQuery refuses before it reads anything."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.bigquery_local import Server
from connectors.broker import Broker
from tests.bigquery_tables import PROJECT, serving
from tests.clicks import click, flags_of, make_table, publish, run
from tests.processes import free_port

TOPICS = ("clicks",)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Run a server with a dataset of clicks."""
    yield from serving(monkeypatch, "clicks")


@pytest.fixture
def flags(tmp_path: Path) -> dict[str, str]:
    """Return a command line."""
    return flags_of(tmp_path)


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
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", f"http://{address}")
    assert run(flags | {"if_missing": "refuse"}) == 1
    text = capsys.readouterr().err
    assert address in text
    assert "python -m connectors.bigquery_local" in text
