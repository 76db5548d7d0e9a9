"""What the local BigQuery keeps: the real process, killed and started again."""

import random
import subprocess
import threading
from pathlib import Path

import grpc
import pytest
from google.api_core import exceptions
from google.cloud import bigquery
from google.cloud.bigquery_storage_v1 import types as api

from connectors.bigquery_local import Server
from connectors.bigquery_local.errors import PortInUse, StoreInUse
from tests.bigquery_clients import ID, Clients, LocalBigQuery, arrow_request, ids, storage_code
from tests.processes import free_port, python, signal_another_thread

pytestmark = pytest.mark.integration

ROUNDS = 4


def write_until_the_end(clients: Clients, stream: str, start: int, killed: threading.Event) -> int:
    """Append row after row at its offset until the server dies; return how many were answered."""
    answered = start

    def requests():  # type: ignore[no-untyped-def]
        number = start
        while not killed.is_set():
            yield arrow_request(ids(number), stream, number)
            number += 1

    try:
        for response in clients.write.append_rows(requests(), retry=None):
            assert response.append_result.offset == answered
            answered += 1
    except exceptions.GoogleAPICallError:
        pass
    return answered


def test_killed_while_rows_come(tmp_path: Path) -> None:
    """Every answered row is there, once, and the offset goes on where the rows end."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    moments = random.Random(seed)
    with LocalBigQuery(tmp_path) as local:
        clients = local.start()
        table = clients.table("rows", ID)
        stream, rows = clients.stream(table), 0
        for _ in range(ROUNDS):
            killed = threading.Event()
            timer = threading.Timer(moments.uniform(0.05, 0.6), local.kill)
            timer.start()
            answered = write_until_the_end(clients, stream, rows, killed)
            timer.join()
            killed.set()
            clients.close()
            clients = local.start()
            found = sorted(clients.select("SELECT id FROM data.rows"))
            assert found == [(number,) for number in range(len(found))]
            assert len(found) >= answered
            rows = len(found)
            gap, repetition = clients.append(
                arrow_request(ids(0), stream, rows + 1),
                arrow_request(ids(0), offset=rows - 1, schema=False),
            )
            assert storage_code(gap.error) == "OFFSET_OUT_OF_RANGE"
            assert storage_code(repetition.error) == "OFFSET_ALREADY_EXISTS"
        clients.close()


def test_streams_and_jobs_outlive_the_process(tmp_path: Path) -> None:
    """Pending rows, flushed offsets, finalized states and used job ids are all on disk."""
    with LocalBigQuery(tmp_path) as local:
        clients = local.start()
        table = clients.table("rows", ID)
        pending, buffered = clients.stream(table, "PENDING"), clients.stream(table, "BUFFERED")
        clients.append(arrow_request(ids(1, 2), pending))
        clients.write.finalize_write_stream(name=pending)
        clients.append(arrow_request(ids(3, 4, 5), buffered))
        clients.write.flush_rows(api.FlushRowsRequest(write_stream=buffered, offset=1))
        clients.rest.query("SELECT 1", job_id="used", job_retry=None).result()
        local.kill()
        clients.close()
        clients = local.start()
        assert sorted(clients.select("SELECT id FROM data.rows")) == [(3,), (4,)]
        request = api.BatchCommitWriteStreamsRequest(parent=table, write_streams=[pending])
        assert clients.write.batch_commit_write_streams(request).commit_time
        clients.write.flush_rows(api.FlushRowsRequest(write_stream=buffered, offset=2))
        found = sorted(clients.select("SELECT id FROM data.rows"))
        assert found == [(1,), (2,), (3,), (4,), (5,)]
        with pytest.raises(exceptions.Conflict):
            clients.rest.query("SELECT 1", job_id="used", retry=None, job_retry=None).result()
        clients.close()


def test_stops_in_order(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """SIGTERM ends it with code 0 while connections are open, and DuckDB misses nothing."""
    with LocalBigQuery(tmp_path) as local:
        clients = local.start()
        table = clients.table("rows", ID)
        held = threading.Event()

        def requests():  # type: ignore[no-untyped-def]
            yield arrow_request(ids(1), f"{table}/streams/_default")
            held.wait(30)

        answers = clients.write.append_rows(requests(), retry=None)
        assert not next(iter(answers)).row_errors
        assert local.stop() == 0
        assert "leaked" not in capfd.readouterr().err
        with pytest.raises((exceptions.GoogleAPICallError, grpc.RpcError)):
            next(iter(answers))
        held.set()
        clients.close()


def test_stops_whichever_thread_gets_the_signal(tmp_path: Path) -> None:
    """The kernel may choose a thread that is not the main one, which nothing else would wake."""
    with LocalBigQuery(tmp_path) as local:
        local.start().close()
        assert local.stop(signal_another_thread) == 0


def test_one_directory_one_server(tmp_path: Path) -> None:
    """A second server on it is refused with one sentence; so is a port in use."""
    with LocalBigQuery(tmp_path) as local:
        clients = local.start()
        command = ["-m", "connectors.bigquery_local", "--data_dir", str(tmp_path), "--port", "0",
                   "--rest_port", str(free_port())]  # fmt: skip
        second = python(*command, stderr=subprocess.PIPE)
        _, complaint = second.communicate(timeout=30)
        assert second.returncode == 1
        assert complaint.startswith("bigquery_local: ")
        assert "can't be opened" in complaint
        with pytest.raises(PortInUse), Server(port=local.port):
            pass
        with pytest.raises(PortInUse), Server(rest_port=local.rest_port):
            pass
        clients.close()


def test_store_of_this_process_is_taken(tmp_path: Path) -> None:
    """Also two servers of one process do not share a directory."""
    with Server(tmp_path), pytest.raises(StoreInUse), Server(tmp_path):
        pass


def test_time_zone_of_the_machine_does_not_matter(tmp_path: Path) -> None:
    """Days and texts of timestamps are those of UTC, as in BigQuery."""
    with LocalBigQuery(tmp_path, TZ="America/New_York") as local:
        clients = local.start()
        clients.table("rows", bigquery.SchemaField("at", "TIMESTAMP"))
        assert not clients.rest.insert_rows_json("data.rows", [{"at": "2024-01-01 01:00:00"}])
        sql = "SELECT CAST(at AS DATE), CAST(at AS STRING), EXTRACT(HOUR FROM at) FROM data.rows"
        ((day, text, hour),) = clients.select(sql)
        assert (str(day), text[:13], hour) == ("2024-01-01", "2024-01-01 01", 1)
        clients.close()
