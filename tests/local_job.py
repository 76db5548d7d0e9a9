"""A job without end on the local runner, as a process that tests may kill.

    python -m tests.local_job --state_dir=DIR --lake=DIR --window_s=5

Messages are JSON objects ``{"n": number, "at": time}``; their event time is ``at``.
"""

from __future__ import annotations

import argparse
import logging
import signal
import sys

import apache_beam as beam
import pyarrow as pa
from apache_beam.options.pipeline_options import PipelineOptions

from connectors import lake, pubsub
from runners.local import LocalRunner
from runners.local.options import settings
from runners.local.state_id import keep, state_id
from tests.pubsub_servers import SUBSCRIPTION
from transforms.dedup import Deduplicate
from transforms.field import column
from transforms.parse import Parse
from transforms.project import Project
from transforms.windows import Fixed, Windowing

SCHEMA = pa.schema([("n", pa.int64()), ("at", pa.timestamp("us", tz="UTC"))])


def build(pipeline: beam.Pipeline, arguments: argparse.Namespace) -> None:
    """Add the steps: without windows when their size is 0."""
    disorder_s = arguments.disorder_s
    watermark = pubsub.EventTime(column("at"), disorder_s=disorder_s, schema=SCHEMA)
    read = pubsub.Read(subscription=SUBSCRIPTION, topic=None, watermark=watermark)
    rows = (pipeline | "Read" >> read | "Parse" >> Parse(SCHEMA)).ok
    if arguments.window_s:
        windowing = Windowing(Fixed(arguments.window_s), column("at"), allowed_lateness_s=0)
        rows = (rows | "Window" >> windowing).ok
    rows = rows | "Deduplicate" >> Deduplicate(column("n"), 1_000_000)
    written = rows | "Rows" >> Project(drop=["_message"])
    written | "Write" >> lake.Write(arguments.lake, every_s=arguments.every_s)


def main() -> None:
    """Run until SIGTERM suspends or SIGUSR1 drains."""
    logging.basicConfig(level=logging.INFO)
    parser = argparse.ArgumentParser()
    parser.add_argument("--lake", required=True)
    parser.add_argument("--window_s", type=float, default=0)
    parser.add_argument("--every_s", type=float, default=0.1)
    parser.add_argument("--disorder_s", type=float, default=0)
    parser.add_argument("--state_dir", required=True)
    arguments, rest = parser.parse_known_args()
    argv = [*rest, f"--state_dir={arguments.state_dir}", "--job_name=job"]
    chosen = settings(PipelineOptions(argv))
    identity = state_id(chosen)
    keep(chosen, identity)
    name = identity.name
    options = PipelineOptions([*argv, f"--headrace_job=job-{name}"])
    pipeline = beam.Pipeline(runner=LocalRunner(), options=options)
    build(pipeline, arguments)
    result = pipeline.run()
    signal.signal(signal.SIGTERM, lambda *_: result.stop("suspend"))
    signal.signal(signal.SIGUSR1, lambda *_: result.stop("drain"))
    print("running", flush=True)
    state = result.wait_until_finish()
    print(state, flush=True)
    sys.exit(0 if state in ("STOPPED", "DRAINED") else 1)


if __name__ == "__main__":
    main()
