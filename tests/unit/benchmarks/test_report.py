"""The table, the JSON lines and the verdicts."""

import json

from benchmarks.engines import ENGINES, Engine
from benchmarks.measure import Phase, Usage
from benchmarks.report import json_lines, table
from benchmarks.rounds import Result
from benchmarks.targets import TARGETS, Target, verdicts


def result(name: str, *cpu_s: float, failure: str = "") -> Result:
    """Return a result of 1,000 events with one usage for each CPU time."""
    usages = [Usage(Phase(1, 1), Phase(0, 0), Phase(cpu, cpu), 5_000_000) for cpu in cpu_s]
    return Result(Engine(name, name.title(), name), 1_000, usages, failure)


def test_rate_is_the_best_and_the_middle_round() -> None:
    """Noise only slows: the best round says what the engine can do."""
    measured = result("engine", 2.0, 1.0, 4.0)
    assert (measured.best, measured.median) == (1_000, 500)


def test_table_is_sorted_and_compares() -> None:
    """The fastest is first, and each row says how our transforms compare with it."""
    lines = table([result("slow", 10.0), result("headrace_memory", 1.0)]).splitlines()
    assert lines[2].startswith("| Headrace_Memory | 1,000 | 1,000 |")
    assert lines[3].startswith("| Slow | 1,000 | 100 |")
    assert lines[3].endswith("| 10.00 |")


def test_failed_engine_has_no_figure() -> None:
    """A wrong lake is said in the table and in the JSON line; its speed is nowhere."""
    failed = result("wrong", 0.001, failure="2 rows instead of 3")
    assert "FAILED: 2 rows instead of 3" in table([failed])
    assert "1,000,000" not in table([failed])
    assert [json.loads(line) for line in json_lines([failed])] == [
        {"engine": "wrong", "events": 1_000, "failed": "2 rows instead of 3"}
    ]


def test_each_figure_is_a_json_line() -> None:
    """The figures of all rounds are kept, with their unit."""
    figures = {f["figure"]: f for f in map(json.loads, json_lines([result("engine", 2.0, 1.0)]))}
    assert figures["rate"]["rounds"] == [500, 1_000]
    assert figures["startup_cpu"]["unit"] == "s"


def test_target_is_reached_or_missed() -> None:
    """A missed target is printed just as a reached one."""
    said = verdicts([result("headrace_memory", 1.0), result("duckdb", 2.0), result("bytewax", 2.0)])
    assert said == [
        "Headrace_Memory / Bytewax: 2.00, target 5: missed",
        "Headrace_Memory / Duckdb: 2.00, target 0.7: reached",
    ]


def test_failed_side_gives_no_verdict() -> None:
    """Nothing is compared with a wrong result."""
    assert verdicts([result("headrace_memory", 1.0), result("duckdb", 9.0, failure="x")]) == []


def test_targets_name_engines() -> None:
    """No target is lost to a misspelt name."""
    names = {engine.name for engine in ENGINES}
    assert {name for t in TARGETS for name in (t.engine, t.other)} <= names
    assert Target("headrace_memory", 0.7, "duckdb") in TARGETS
