"""Run the demo: broker, pipeline, flights, a kill, reconciliation, answers and a plot.

Every part is used as a user would: the broker and the pipeline are processes of their own,
started with their own command lines. Ctrl-C interrupts the demo, and the next start goes on.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from connectors import pubsub
from pipelines.broker_process import broker_process
from pipelines.demo import answers, flights
from pipelines.demo.folder import Interruption, prepared
from pipelines.demo.job import Counts, Job
from pipelines.demo.replay import Replay
from pipelines.demo.show import Show
from pipelines.ending import end_with
from pipelines.interrupt import Interrupted, interruptible, uninterrupted
from transforms.batch import Batch
from transforms.errors import HeadraceError

TOPIC = "projects/demo/topics/flights"
SUBSCRIPTION = "projects/demo/subscriptions/flights-lake"
SCHEMA = Path(__file__).with_name("flights.json")
SECONDS = 25.0

console = Console(highlight=False, soft_wrap=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo; return 0 if every message is accounted for."""
    arguments = _parser().parse_args(argv)
    folder: Path = arguments.output
    try:
        interruption = prepared(folder, arguments.flights)
    except FileExistsError:
        console.print(f"error: --output={folder}: holds something else than an earlier demo")
        return 2
    stream = flights.stream(arguments.flights)
    with broker_process(folder / "broker") as address:
        os.environ["PUBSUB_EMULATOR_HOST"] = address
        console.print(f"[bold]1. Broker[/] at {address}, data in {folder / 'broker'}")
        if interruption is None:
            pubsub.create_topic(TOPIC)
            pubsub.create_subscription(SUBSCRIPTION, TOPIC)
        start = interruption or Interruption(0, arguments.flights, was_killed=False)
        counts = _stream(folder, stream, arguments.seconds, start)
    return _report(folder, stream, counts)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m pipelines.demo", description=__doc__)
    parser.add_argument(
        "--output", type=Path, default=Path("demo-run"),
        help="emptied at start, unless the demo in it was interrupted",
    )  # fmt: skip
    parser.add_argument("--flights", type=int, default=None, help="only the first N flights")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="how long the year takes")
    return parser


def _stream(folder: Path, stream: flights.Stream, seconds: float, start: Interruption) -> Counts:
    """Let all messages pass through the pipeline; return what it has counted."""
    log = folder / "pipeline.log"
    replay = Replay(TOPIC, Batch.concat(stream.batches), seconds, start.published)
    with Job("pipelines.pubsub_to_lake", _flags(folder), log) as job:
        console.print(f"[bold]2. Pipeline[/], which says what it does in {log}")
        console.print(f"   {job.command}", style="dim")
        job.wait_until_ready()
        console.print(
            f"[bold]3. Flights[/] of a year in {seconds:g} s, {stream.published:,} messages: "
            "slightly out of order, 5 % of the events twice, 0.1 % of the payloads corrupt"
        )
        if start.published:
            console.print(f"   the interrupted demo goes on, {start.published:,} are published")
        show = Show(
            console, job, replay,
            total=stream.published, lake=folder / "lake", was_killed=start.was_killed,
        )  # fmt: skip
        try:
            with replay:
                show.until_all_is_read()
        except Interrupted:
            Interruption(replay.published, start.limit, show.was_killed).save(folder)
            console.print("   interrupted; start the demo again and it goes on")
            raise
        with uninterrupted():
            job.drain()
    show.status()
    console.print("           the pipeline is drained: the windows that were open are written")
    return job.counts()


def _flags(folder: Path) -> list[str]:
    return [
        "--runner=local",
        f"--state_dir={folder / 'state'}",
        "--on_stop=drain",
        f"--subscription={SUBSCRIPTION}",
        f"--schema={os.path.relpath(SCHEMA)}",
        f"--output={folder / 'lake'}",
        f"--dead_letter={folder / 'dead_letters'}",
        "--event_time=departure",
        "--disorder=30m",
        "--window=fixed:1d",
        "--dedup_by=attribute:event_id",
        "--partition_by=month(departure)",
        "--log_every=500ms",
    ]


def _report(folder: Path, stream: flights.Stream, counts: Counts) -> int:
    rows = answers.row_count(folder / "lake")
    dead = answers.row_count(folder / "dead_letters")
    right = (rows, counts.duplicates, dead) == (stream.unique, stream.duplicates, stream.corrupt)
    console.print("[bold]4. Reconciliation[/]")
    _print_table(
        ["", "published as", "found"],
        [
            ("rows in the lake", stream.unique, rows),
            ("duplicates", stream.duplicates, counts.duplicates),
            ("dead letters", stream.corrupt, dead),
            ("messages", stream.published, rows + counts.duplicates + dead),
        ],
    )
    console.print("   every message is accounted for" if right else "   [red]NOT RECONCILED[/]")
    for number, question in enumerate(answers.QUESTIONS, 5):
        console.print(f"[bold]{number}. {question.title}[/]")
        _print_table(*answers.ask(folder / "lake", question))
    answers.plot(folder / "lake", folder / "delays.png")
    console.print(f"[bold]{number + 1}. Plot[/] saved to {folder / 'delays.png'}")
    return 0 if right else 1


def _print_table(names: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for name in names:
        table.add_column(name, justify="left" if name in ("", "carrier") else "right")
    for row in rows:
        table.add_row(*(f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row))
    console.print(table)


def _run() -> int:
    try:
        with interruptible():
            return main()
    except HeadraceError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except Interrupted as stop:
        console.print(f"stopped by {stop.name}")
        return stop.status


if __name__ == "__main__":
    end_with(_run)
