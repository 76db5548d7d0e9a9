"""Measure rows to BigQuery, in Arrow and in protocol buffers: ``python -m benchmarks.bigquery``.

Both paths append the same rows to the default stream of a table of ``connectors.bigquery_local``,
which runs in a process of its own, and only the client's CPU time counts. The proto path is
Google's own ``writer.AppendRowsStream`` as its documentation shows it: a message for each row,
serialized, in requests of the same size, as many under way as ours may have. It starts from
dictionaries that are made before the clock starts, ours from Arrow batches as Beam hands them over.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import resource
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from benchmarks.processes import ending
from connectors.clients import bigquery_endpoint, bigquery_storage_endpoint, open_bigquery

__all__ = ["main", "words"]

PROJECT, DATASET = "test-project", "bench"
BATCH_ROWS = 10_000
UNDER_WAY = 8
TARGET_TIMES = 5.0
COLUMNS = (
    ("id", "STRING"), ("user_id", "INTEGER"), ("carrier", "STRING"), ("delay", "FLOAT"),
    ("cancelled", "BOOLEAN"), ("at", "TIMESTAMP"),
)  # fmt: skip


def main(argv: Sequence[str]) -> int:
    """Run the benchmark, or one path of it in this process."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bigquery", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="default: 3")
    parser.add_argument("--batches", type=int, default=200, help="of 10,000 rows (default: 200)")
    parser.add_argument("--path", choices=PATHS, help=argparse.SUPPRESS)
    parser.add_argument("--table", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.path:
        print(json.dumps({"cpu_s": PATHS[options.path](options.table, options.batches)}))
        return 0
    with _server():
        cpu_s = _rounds(options.rounds, options.batches)
    print(words(cpu_s, options.batches * BATCH_ROWS))
    print(json.dumps(cpu_s))
    return 0


def words(cpu_s: dict[str, list[float]], rows: int) -> str:
    """Return the figures, and whether the target is reached.

    Args:
        cpu_s: of the client in each round, by path.
        rows: of a round.
    """
    arrow, proto = (rows / min(cpu_s[path]) for path in ("arrow", "proto"))
    reached = "reached" if arrow / proto >= TARGET_TIMES else "missed"
    return (
        f"Arrow rows: {arrow:,.0f} rows per core-second; proto rows by Google's writer: "
        f"{proto:,.0f}: {arrow / proto:.1f} times as many, target {TARGET_TIMES:g}: {reached}"
    )


def _rounds(rounds: int, batches: int) -> dict[str, list[float]]:
    """Return the CPU time of each round by path; the paths take turns."""
    cpu_s: dict[str, list[float]] = {path: [] for path in PATHS}
    client = open_bigquery(bigquery_endpoint(), PROJECT)
    for number in range(rounds):
        for path in PATHS:
            table = f"{PROJECT}.{DATASET}.{path}_{number}"
            _make(client, table)
            command = [sys.executable, "-m", "benchmarks.bigquery", f"--path={path}"]
            command += [f"--batches={batches}", f"--table={table}"]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            cpu_s[path].append(json.loads(done.stdout)["cpu_s"])
            _require_rows(client, table, batches * BATCH_ROWS)
            client.delete_table(table)
    return cpu_s


def _make(client: Any, table: str) -> None:
    from google.cloud import bigquery  # noqa: PLC0415 - a second of imports

    columns = [bigquery.SchemaField(name, kind) for name, kind in COLUMNS]
    client.create_table(bigquery.Table(table, columns))


def _require_rows(client: Any, table: str, rows: int) -> None:
    query = f"SELECT count(*) AS n, sum(user_id) AS total FROM `{table}`"
    (found,) = client.query_and_wait(query)
    if (found.n, found.total) != (rows, sum(range(rows))):
        raise SystemExit(f"FAILED: {table} has {found.n} rows, sum {found.total}, not {rows}")


@contextlib.contextmanager
def _server() -> Iterator[None]:
    command = [sys.executable, "-m", "connectors.bigquery_local", "--port=0", "--rest_port=0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    with ending(process):
        assert process.stdout is not None
        told = dict(re.findall(r"(BIGQUERY\w*_HOST)=(\S+)", process.stdout.readline()))
        if not told:
            raise SystemExit("FAILED: connectors.bigquery_local did not start")
        os.environ.update(told)
        open_bigquery(bigquery_endpoint(), PROJECT).create_dataset(DATASET)
        yield


def _batch(number: int) -> pa.RecordBatch:
    """Return a batch of rows of about 80 bytes."""
    first = number * BATCH_ROWS
    numbers = np.arange(first, first + BATCH_ROWS)
    micros = pa.array(1_767_225_600_000_000 + numbers * 1_000)
    return pa.RecordBatch.from_pydict(
        {
            "id": pa.array([f"event-{n:030d}" for n in numbers.tolist()]),
            "user_id": pa.array(numbers),
            "carrier": pa.array([("AA", "UA", "DL", "B6")[n % 4] for n in numbers.tolist()]),
            "delay": pa.array(numbers * 0.25),
            "cancelled": pa.array(numbers % 10 == 0),
            "at": micros.cast(pa.timestamp("us", tz="UTC")),
        }
    )


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _arrow(table: str, batches: int) -> float:
    """Append Arrow batches as ``bigquery.Write`` does; return the CPU seconds."""
    from connectors.bigquery.default_stream import DefaultStream  # noqa: PLC0415
    from connectors.bigquery.forms import ArrowForm  # noqa: PLC0415
    from connectors.bigquery.line import Line  # noqa: PLC0415
    from connectors.bigquery.names import TableName  # noqa: PLC0415
    from connectors.bigquery.rows import Shape  # noqa: PLC0415
    from connectors.bigquery.session import session  # noqa: PLC0415

    rows = [_batch(number) for number in range(batches)]
    name = TableName.parse(table)
    shape = Shape(rows[0].schema, session().schema(name))
    began_s = _cpu_s()
    stream = DefaultStream(Line(session(), name), ArrowForm(shape.fit(rows[0]).rows.schema))
    tickets = [stream.send(shape.fit(batch).rows) for batch in rows]
    stream.settle_all()
    used_s = _cpu_s() - began_s
    assert not any(ticket.refused for ticket in tickets)
    return used_s


def _proto(table: str, batches: int) -> float:
    """Append messages by Google's writer; return the CPU seconds."""
    import grpc  # noqa: PLC0415 - only this path needs these
    from google.cloud.bigquery_storage_v1 import BigQueryWriteClient, types, writer  # noqa: PLC0415
    from google.cloud.bigquery_storage_v1.services.big_query_write.transports import (  # noqa: PLC0415
        BigQueryWriteGrpcTransport,
    )
    from google.protobuf import descriptor_pb2  # noqa: PLC0415

    given = [_dictionaries(_batch(number)) for number in range(batches)]
    message, descriptor = _message(descriptor_pb2)
    channel = grpc.insecure_channel(bigquery_storage_endpoint().address)
    client = BigQueryWriteClient(transport=BigQueryWriteGrpcTransport(channel=channel))
    project, dataset, name = table.split(".")
    stream = f"{client.table_path(project, dataset, name)}/streams/_default"
    schema = types.ProtoSchema(proto_descriptor=descriptor)
    data = types.AppendRowsRequest.ProtoData(writer_schema=schema)
    first = types.AppendRowsRequest(write_stream=stream, proto_rows=data)
    began_s = _cpu_s()
    appending = writer.AppendRowsStream(client, first)
    under_way: deque[Any] = deque()
    for rows in given:
        if len(under_way) >= UNDER_WAY:
            under_way.popleft().result()
        proto_rows = types.ProtoRows()
        proto_rows.serialized_rows = [message(**row).SerializeToString() for row in rows]
        request = types.AppendRowsRequest()
        request.proto_rows = types.AppendRowsRequest.ProtoData(rows=proto_rows)
        under_way.append(appending.send(request))
    for future in under_way:
        future.result()
    used_s = _cpu_s() - began_s
    appending.close()
    return used_s


def _dictionaries(batch: pa.RecordBatch) -> list[dict[str, Any]]:
    at = batch.schema.get_field_index("at")
    micros = batch.column(at).cast(pa.int64())
    return batch.set_column(at, "at", micros).to_pylist()


def _message(descriptor_pb2: Any) -> tuple[Any, Any]:
    """Return the class of a row's message and its descriptor."""
    from google.protobuf import descriptor_pool, message_factory  # noqa: PLC0415

    field = descriptor_pb2.FieldDescriptorProto
    kinds = {
        "STRING": field.TYPE_STRING, "INTEGER": field.TYPE_INT64, "FLOAT": field.TYPE_DOUBLE,
        "BOOLEAN": field.TYPE_BOOL, "TIMESTAMP": field.TYPE_INT64,
    }  # fmt: skip
    file = descriptor_pb2.FileDescriptorProto(name="row.proto", package="bench", syntax="proto2")
    row = file.message_type.add(name="Row")
    for number, (name, kind) in enumerate(COLUMNS, 1):
        row.field.add(name=name, number=number, type=kinds[kind], label=field.LABEL_OPTIONAL)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("bench.Row")), row


PATHS: dict[str, Callable[[str, int], float]] = {"arrow": _arrow, "proto": _proto}

if __name__ == "__main__":
    started_s = time.monotonic()
    status = main(sys.argv[1:])
    print(f"{time.monotonic() - started_s:.0f} s", file=sys.stderr)
    sys.exit(status)
