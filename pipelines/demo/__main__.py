"""Run the demo: broker, flights, pipeline, reconciliation, answers and a plot.

Every part is used as a user would: the broker and the pipeline are processes of their own,
started with their own command lines, which are printed.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from connectors import pubsub
from connectors.ledger import Ledger
from pipelines.demo import answers, flights
from pipelines.demo.broker import broker_process
from pipelines.interrupt import Interrupted, interruptible
from transforms.errors import HeadraceError
from transforms.metrics import DUPLICATES

TOPIC = "projects/demo/topics/flights"
SUBSCRIPTION = "projects/demo/subscriptions/flights-lake"
MARK = ".headrace-demo"
SCHEMA = Path(__file__).with_name("flights.json")

console = Console(highlight=False, soft_wrap=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo; return 0 if every message is accounted for."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.demo", description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("demo-run"), help="emptied at start")
    parser.add_argument("--flights", type=int, default=None, help="only the first N flights")
    arguments = parser.parse_args(argv)
    folder: Path = arguments.output
    if not _emptied(folder):
        console.print(f"error: --output={folder}: holds something else than an earlier demo")
        return 2
    with broker_process(folder / "broker") as address:
        os.environ["PUBSUB_EMULATOR_HOST"] = address
        console.print(f"[bold]1. Broker[/] at {address}, data in {folder / 'broker'}")
        stream = _publish(arguments.flights)
        if _run_pipeline(folder) != 0:
            return 1
    return _report(folder, stream)


def _emptied(folder: Path) -> bool:
    """Remove what an earlier demo left; refuse to remove anything else."""
    if folder.exists():
        if any(folder.iterdir()) and not (folder / MARK).is_file():
            return False
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    (folder / MARK).touch()
    return True


def _publish(limit: int | None) -> flights.Stream:
    stream = flights.stream(limit)
    pubsub.create_topic(TOPIC)
    pubsub.create_subscription(SUBSCRIPTION, TOPIC)
    began = time.monotonic()
    with pubsub.Publisher(TOPIC) as publisher:
        for batch in stream.batches:
            publisher.publish(batch)
    elapsed_s = time.monotonic() - began
    console.print(
        f"[bold]2. Published[/] {stream.published:,} messages in {elapsed_s:.1f} s, durably: "
        "slightly out of order, 5 % of the events twice, 0.1 % of the payloads corrupt"
    )
    return stream


def _run_pipeline(folder: Path) -> int:
    command = [
        sys.executable, "-m", "pipelines.pubsub_to_lake",
        f"--subscription={SUBSCRIPTION}",
        f"--schema={os.path.relpath(SCHEMA)}",
        f"--output={folder / 'lake'}",
        f"--dead_letter={folder / 'dead_letters'}",
        "--event_time=departure",
        "--window=fixed:1d",
        "--dedup_by=attribute:event_id",
        "--partition_by=month(departure)",
    ]  # fmt: skip
    console.print("[bold]3. Pipeline[/]")
    console.print(f"   python {shlex.join(command[1:])}", style="dim")
    return subprocess.run(command, check=False).returncode


def _report(folder: Path, stream: flights.Stream) -> int:
    rows = answers.row_count(folder / "lake")
    dead = answers.row_count(folder / "dead_letters")
    commits = Ledger(os.fspath(folder / "lake")).commits()
    duplicates = sum(commit.counts.get(DUPLICATES.name, 0) for commit in commits)
    right = (rows, duplicates, dead) == (stream.unique, stream.duplicates, stream.corrupt)
    console.print("[bold]4. Reconciliation[/]")
    _print_table(
        ["", "published as", "found"],
        [
            ("rows in the lake", stream.unique, rows),
            ("duplicates", stream.duplicates, duplicates),
            ("dead letters", stream.corrupt, dead),
            ("messages", stream.published, rows + duplicates + dead),
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


if __name__ == "__main__":
    try:
        with interruptible():
            code = main()
    except HeadraceError as error:
        sys.exit(f"error: {error}")
    except Interrupted as stop:
        console.print(f"stopped by {stop.name}")
        code = stop.status
    sys.exit(code)
