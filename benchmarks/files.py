"""Measure how fast files are written: ``python -m benchmarks.files``.

The same rows go through ``lake.Write`` or ``storage.Write`` in a pipeline that commits, and through
the plain library into one file: pyarrow for Parquet, msgspec for JSON lines, fastavro for Avro,
with the same codec and level. Counted is the CPU time of the work alone: of pipelines of two sizes
the difference, so that what Beam takes to build and start a graph is left out.
"""

from __future__ import annotations

import argparse
import gzip
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import apache_beam as beam
import fastavro
import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from apache_beam.transforms.window import FixedWindows, TimestampedValue

from connectors import lake, storage
from connectors.storage.avro_schema import avro_schema
from pipelines.launch import run_bounded
from transforms.batch import Batch

__all__ = ["CASES", "Case", "events", "main", "words"]

BATCH_ROWS = 8_192
WINDOW_ROWS = 250_000
PARQUET_TARGET = 0.7
_LEVEL = 3
_SECOND_US = 1_000_000
_EPOCH_US = 1_767_225_600 * _SECOND_US


def events(rows: int) -> pa.RecordBatch:
    """Return rows like those of a click stream; the same at every call."""
    chance = np.random.default_rng(1)
    times = _EPOCH_US + np.arange(rows) * _SECOND_US // 100
    kinds = np.array(["view", "click", "buy", "leave"])
    return pa.record_batch(
        {
            "event_id": pa.array([f"{number:032x}" for number in chance.integers(0, 2**62, rows)]),
            "user_id": chance.integers(0, 1_000_000, rows),
            "amount": chance.integers(0, 100_000, rows) / 100,
            "at": pa.array(times, pa.timestamp("us", "UTC")),
            "mobile": pa.array(chance.random(rows) > 0.5),
            "kind": pa.array(kinds[chance.integers(0, len(kinds), rows)]),
        }
    )


@dataclass(frozen=True)
class Case:
    """A format: the step that writes it, and the plain way."""

    name: str
    write: Callable[[str], beam.PTransform]
    plain: Callable[[pa.RecordBatch, Path], object]
    target: float
    plain_share: int = 1
    """The plain way gets only one of so many rows: it is that slow."""


def _plain_parquet(rows: pa.RecordBatch, path: Path) -> None:
    # The dictionary where it pays, which is what lake.Write finds out.
    options = {"compression": "zstd", "compression_level": 1, "use_dictionary": ["kind"]}
    with pa.OSFile(str(path), "wb") as sink, pq.ParquetWriter(sink, rows.schema, **options) as file:
        file.write_table(pa.Table.from_batches([rows]), 131_072)


def _plain_json(rows: pa.RecordBatch, path: Path) -> None:
    with gzip.open(path, "wb", compresslevel=_LEVEL) as file:
        for start in range(0, rows.num_rows, BATCH_ROWS):
            lines = map(msgspec.json.encode, rows.slice(start, BATCH_ROWS).to_pylist())
            file.write(b"\n".join(lines) + b"\n")


def _plain_avro(rows: pa.RecordBatch, path: Path) -> None:
    schema = fastavro.parse_schema(avro_schema(rows.schema))
    batches = (rows.slice(start, BATCH_ROWS) for start in range(0, rows.num_rows, BATCH_ROWS))
    records = (row for batch in batches for row in batch.to_pylist())
    with path.open("wb") as file:
        fastavro.writer(file, schema, records, codec="deflate", codec_compression_level=_LEVEL)


CASES = (
    Case("lake.Write, Parquet", lake.Write, _plain_parquet, PARQUET_TARGET),
    Case(
        "lake.Write, Delta Lake",
        lambda path: lake.Write(path, table=lake.Delta()),
        _plain_parquet,
        PARQUET_TARGET,
    ),
    Case(
        "lake.Write, Iceberg",
        lambda path: lake.Write(path, table=lake.Iceberg()),
        _plain_parquet,
        PARQUET_TARGET,
    ),
    Case(
        "storage.Write, Parquet",
        lambda path: storage.Write(path, storage.Parquet()),
        _plain_parquet,
        PARQUET_TARGET,
    ),
    Case(
        "storage.Write, JSON lines (gzip)",
        lambda path: storage.Write(path, storage.JsonLines("gzip", _LEVEL)),
        _plain_json,
        1.0,
        plain_share=4,
    ),
    Case(
        "storage.Write, Avro (deflate)",
        lambda path: storage.Write(path, storage.Avro("deflate", _LEVEL)),
        _plain_avro,
        1.0,
        plain_share=8,
    ),
)


def main(argv: Sequence[str]) -> int:
    """Run the benchmark; fail if a row is lost."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.files", description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000, help="default: 2000000")
    parser.add_argument("--rounds", type=int, default=5, help="best of; default: 5")
    options = parser.parse_args(argv)
    rows = events(options.rows)
    for case in CASES:
        ours, plain = _measure(case, rows, options.rounds)
        print(words(case, ours, plain), flush=True)
        print(json.dumps({"case": case.name, "rows_per_core_s": ours, "plain": plain}))
    return 0


def words(case: Case, ours: float, plain: float) -> str:
    """Return the figures of a case, in rows per core-second, in one line."""
    reached = "reached" if ours >= case.target * plain else "missed"
    return (
        f"{case.name}: {ours / 1e6:.2f} M rows per core-second, plain {plain / 1e6:.2f} M, "
        f"{ours / plain:.2f} of it; target {case.target:g}: {reached}"
    )


def _measure(case: Case, rows: pa.RecordBatch, rounds: int) -> tuple[float, float]:
    few = rows.slice(0, rows.num_rows // 4)
    some = rows.slice(0, rows.num_rows // case.plain_share)
    ours, plain = [], []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(rounds):
            place = Path(folder, str(number))
            place.mkdir()
            marginal_s = _pipeline_s(case, rows, place / "all") - _pipeline_s(
                case, few, place / "few"
            )
            ours.append((rows.num_rows - few.num_rows) / marginal_s)
            plain.append(some.num_rows / _cpu_s(lambda place=place: case.plain(some, place / "p")))
    return max(ours), max(plain)


def _pipeline_s(case: Case, rows: pa.RecordBatch, folder: Path) -> float:
    """Write rows in windows; return the CPU time."""
    folder.mkdir()
    source = str(folder / "rows.arrow")
    with pa.OSFile(source, "wb") as sink, pa.ipc.new_file(sink, rows.schema) as file:
        file.write_table(pa.Table.from_batches([rows]), BATCH_ROWS)

    def build(pipeline: beam.Pipeline) -> None:
        read = beam.FlatMap(_batches).with_output_types(Batch)
        batches = pipeline | beam.Create([source], reshuffle=False) | "Read" >> read
        batches | beam.WindowInto(FixedWindows(1)) | case.write(str(folder / "out"))

    commits = []
    used_s = _cpu_s(lambda: commits.append(run_bounded(build)))
    if sum(file.rows for file in commits[0].files) != rows.num_rows:
        raise SystemExit(f"{case.name}: rows were lost or repeated")
    return used_s


def _batches(path: str) -> Iterator[TimestampedValue]:
    """Yield the batches of a file. The window of each is that of its first row: only a number."""
    with pa.memory_map(path) as source, pa.ipc.open_file(source) as file:
        for index in range(file.num_record_batches):
            time_s = index * BATCH_ROWS // WINDOW_ROWS
            yield TimestampedValue(Batch(file.get_batch(index)), time_s)


def _cpu_s(work: Callable[[], object]) -> float:
    started_s = time.process_time()
    work()
    return time.process_time() - started_s


if __name__ == "__main__":
    import sys

    sys.exit(main(sys.argv[1:]))
