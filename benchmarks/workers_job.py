"""A CPU-bound job: a step with state burns CPU for each key.

    python -m benchmarks.workers_job WORKERS FILE

Each piece of work adds a line to the file: when it began and when it ended, by the machine's
monotonic clock, which all processes share.
"""

from __future__ import annotations

import os
import sys
import time

import apache_beam as beam
from apache_beam.coders import VarIntCoder
from apache_beam.transforms.userstate import ReadModifyWriteStateSpec

from benchmarks.local import local_pipeline

__all__ = ["PIECES", "main"]

PIECES = 64
ROUNDS = 1_000_000
"""Steps of one piece of work; all pieces do the same."""


def main(workers: str, file: str) -> None:
    """Run the job."""
    pipeline = local_pipeline(None, int(workers))
    keyed = (
        pipeline
        | beam.Create(range(PIECES), reshuffle=False)
        | "Key" >> beam.Map(lambda number: (number, file)).with_output_types(tuple[int, str])
    )
    _ = keyed | beam.ParDo(Burn())
    pipeline.run().wait_until_finish()


class Burn(beam.DoFn):
    """Uses one core, in pure Python, and keeps the result as state of the key."""

    LAST = ReadModifyWriteStateSpec("last", VarIntCoder())

    def process(self, keyed: tuple[int, str], last: object = beam.DoFn.StateParam(LAST)) -> None:
        """Work, and say when."""
        began_s = time.monotonic()
        number, file = keyed
        for _ in range(ROUNDS):
            number = (number * 48_271 + 1) % 2_147_483_647
        last.write(number)
        line = f"{began_s} {time.monotonic()}\n"
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(descriptor, line.encode())
        os.close(descriptor)


if __name__ == "__main__":
    main(*sys.argv[1:])
