"""What is found out before anything is read."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pytest

from connectors.bigquery.changes import Changes
from connectors.bigquery.create import Create
from connectors.bigquery.plan import Plan
from connectors.bigquery.session import session
from connectors.bigquery.start import require_columns, require_table
from connectors.bigquery.terms import Terms
from connectors.bigquery_local import Fault, Server
from connectors.clients import bigquery_endpoint, open_bigquery
from transforms.errors import ConfigError
from transforms.field import column, message

PROJECT = "test-project"
TABLE = f"{PROJECT}.data.rows"
FLAGS = Terms("--table", "--if_missing=create")
ROWS = pa.schema([pa.field("n", pa.int64(), nullable=False), ("kind", pa.string())])


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Run a server with a table of the columns ``n`` and ``kind``."""
    from google.cloud.bigquery import SchemaField, Table  # noqa: PLC0415 - a second of imports

    with Server(project=PROJECT) as running:
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", running.rest_endpoint)
        monkeypatch.setenv("BIGQUERY_STORAGE_EMULATOR_HOST", running.grpc_endpoint)
        client = open_bigquery(bigquery_endpoint(), PROJECT)
        client.create_dataset("data", retry=None)
        columns = [SchemaField("n", "INTEGER", "REQUIRED"), SchemaField("kind", "STRING")]
        client.create_table(Table(TABLE, columns), retry=None)
        yield running
        session().close()


def plan(
    table: str = TABLE, create: Create | None = None, *, changes: Changes | None = None, **add: str
) -> Plan:
    """Return a plan that adds parts of the message as columns."""
    fields = {name: message(part) for name, part in add.items()}
    return Plan(table, fields, changes, create, "Write", terms=FLAGS)


def test_table_that_takes_the_rows_is_taken(server: Server) -> None:
    """So is one whose rows nobody knows yet, and a template, of which nothing is known."""
    require_table(plan(), ROWS)
    require_table(plan(), None)
    require_table(plan(f"{PROJECT}.gone.{{kind}}"), ROWS)
    require_table(plan(f"{PROJECT}.data.new", Create()), ROWS)
    require_table(plan(f"{PROJECT}.data.of_{{kind}}", Create()), ROWS)
    require_table(plan(f"{PROJECT}.of_{{kind}}.rows", Create()), ROWS)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        (ROWS.append(pa.field("more", pa.date32())), ["more (date32[day]) is no column", "Drop"]),
        (ROWS.set(1, pa.field("kind", pa.int64())), ["kind (int64) can't be written", "string"]),
        (ROWS.remove(0), ["n is REQUIRED by the table"]),
    ],
)
def test_table_without_a_place_for_the_rows_is_refused(
    server: Server, rows: pa.Schema, words: list[str]
) -> None:
    """The flag, the table, the column with its type, and what to do."""
    with pytest.raises(ConfigError) as caught:
        require_table(plan(), rows)
    text = str(caught.value)
    assert text.startswith(f"--table='{TABLE}': can't take the rows: ")
    assert all(word in text for word in words), text


def test_added_columns_count(server: Server) -> None:
    """They are of the rows that are written, the message is not."""
    with pytest.raises(ConfigError, match="message_id"):
        require_table(plan(message_id="message_id"), ROWS)


def test_columns_that_say_what_to_change_do_not(server: Server) -> None:
    """The table need not have them."""
    rows = ROWS.append(pa.field("op", pa.string()))
    require_table(plan(changes=Changes(column("op"))), rows)
    with pytest.raises(ConfigError, match=r"op \(string\)"):
        require_table(plan(), rows)


@pytest.mark.parametrize("create", [None, Create()])
def test_missing_table_or_dataset_is_refused(server: Server, create: Create | None) -> None:
    """A table can be made on request, a dataset can't: not for a template either."""
    table, words = f"{PROJECT}.data.gone", r"^--table=.*does not exist.*--if_missing=create"
    if create is not None:
        table, words = f"{PROJECT}.gone.rows", "^dataset=.*bq mk test-project:gone"
    with pytest.raises(ConfigError, match=words):
        require_table(plan(table, create), ROWS)
    if create is not None:
        with pytest.raises(ConfigError, match=words):
            require_table(plan(f"{PROJECT}.gone.{{kind}}", create), ROWS)


def test_denied_access_is_told(server: Server) -> None:
    """With the role that is missing."""
    server.faults.add(Fault("PERMISSION_DENIED", method="GetWriteStream", times=9))
    with pytest.raises(ConfigError, match=r"access is denied.*roles/bigquery\.dataEditor"):
        require_table(plan(), ROWS)


def test_new_table_must_be_possible() -> None:
    """Without a server: of added columns, and of types that BigQuery does not have."""
    create = Create(partition_by="day(publish_time)", cluster_by=("kind",))
    require_columns(plan(create=create, publish_time="publish_time"), ROWS)
    with pytest.raises(ConfigError, match="publish_time"):
        require_columns(plan(create=create), ROWS)
    with pytest.raises(ConfigError, match=r"^d='duration\[s\]'"):
        require_columns(plan(create=Create()), ROWS.append(pa.field("d", pa.duration("s"))))
    require_columns(plan(), pa.schema([("d", pa.duration("s"))]))
