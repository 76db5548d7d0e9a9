"""Measure Headrace beside its peers: ``python -m benchmarks``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.chart import draw
from benchmarks.engines import ENGINES, Engine
from benchmarks.report import json_lines, table
from benchmarks.rounds import run_rounds
from benchmarks.targets import verdicts
from benchmarks.workload import generate

NAMES = {engine.name: engine for engine in ENGINES}
QUICK_EVENTS, QUICK_ROUNDS = 100_000, 1


def main(argv: Sequence[str]) -> int:
    """Run the benchmark; return 1 if an engine failed or gave a wrong lake."""
    options = _parser().parse_args(argv)
    if options.quick:
        options.events, options.rounds = QUICK_EVENTS, QUICK_ROUNDS
    logs = options.out / "logs"
    logs.mkdir(parents=True, exist_ok=True)

    _say(f"input: {options.events:,} events in {options.out}")
    workload = generate(options.out, options.events)
    results = run_rounds(options.engines, workload, options.rounds, logs, _say)

    figures = "\n".join(json_lines(results))
    (options.out / "figures.jsonl").write_text(figures + "\n")
    (options.out / "table.md").write_text(table(results) + "\n")
    print(table(results), "", *verdicts(results), "", figures, sep="\n")
    if any(result.counts for result in results):
        draw(results, options.out / "chart.png")
        print(f"\n{options.out / 'chart.png'}")
    return int(any(result.failure for result in results))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--events", type=_positive, default=1_000_000, help="default: 1000000")
    parser.add_argument("--rounds", type=_positive, default=3, help="default: 3")
    parser.add_argument(
        "--engines", type=_engines, default=list(ENGINES), metavar="A,B",
        help=f"some of {', '.join(NAMES)}; default: all",
    )  # fmt: skip
    parser.add_argument(
        "--out", type=Path, default=Path("build/bench"), metavar="DIR",
        help="for input, logs, table, figures and chart; default: build/bench",
    )  # fmt: skip
    parser.add_argument(
        "--quick", action="store_true", help=f"{QUICK_ROUNDS} round of {QUICK_EVENTS} events"
    )
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return number


def _engines(text: str) -> list[Engine]:
    unknown = [name for name in text.split(",") if name not in NAMES]
    if unknown:
        raise argparse.ArgumentTypeError(
            f"no engine {', '.join(unknown)}; there are {', '.join(NAMES)}"
        )
    return [NAMES[name] for name in text.split(",")]


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
