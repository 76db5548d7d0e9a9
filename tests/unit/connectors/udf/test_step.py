"""The step of Beam: outputs, counters, workers, and what can't be wired."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import apache_beam as beam
import pyarrow as pa
import pytest
from apache_beam.internal import pickler
from apache_beam.metrics import MetricsFilter
from apache_beam.options.pipeline_options import PipelineOptions

from connectors import udf
from connectors.udf import Source, UserFunction, load
from connectors.udf import reload as udf_reload
from connectors.udf.step import _Apply
from tests.udfs import NUMBERS, numbers
from transforms import metrics
from transforms.batch import Batch
from transforms.errors import ConfigError
from transforms.message import PART

ROUTING = """
def f(row):
    if row["n"] == 0: raise ValueError("zero")
    if row["n"] == 1: return None
    if row["n"] == 2: return [row, row, row]
    if row["n"] == 3: return ("late", row)
    return row
"""
Loading = Callable[[str], Source]


@pytest.fixture
def loaded(tmp_path: Path) -> Loading:
    """Return how a source text becomes a source; its function is f."""

    def write_and_load(text: str) -> Source:
        file = tmp_path / "f.py"
        file.write_text(text)
        return load(f"{file}:f")

    return write_and_load


def run(source: Source, *batches: Batch, options: Any = None, **kwargs: Any) -> Any:
    """Run the step on the runner of tests; return the result and the numbers of each output."""
    folder = kwargs.pop("folder")

    def write(name: str) -> Any:
        def one(batch: Batch) -> None:
            lines = "".join(
                f"{each}\n" for each in batch.column("n" if name == "ok" else "data").to_pylist()
            )
            with open(f"{folder}/{name}", "a", encoding="utf-8") as file:
                file.write(lines)

        return f"Write {name}" >> beam.Map(one)

    pipeline = beam.Pipeline("FnApiRunner", options=options)
    applied = pipeline | beam.Create(list(batches)) | UserFunction(source, schema=NUMBERS, **kwargs)
    applied.ok | write("ok")
    applied.dead | write("dead")
    for name, made in applied.outputs.items():
        made | write(name)
    result = pipeline.run()
    result.wait_until_finish()
    return result


def lines(folder: Path, name: str) -> list[str]:
    """Return what was written for an output, sorted."""
    file = folder / name
    return sorted(file.read_text().split("\n")[:-1]) if file.exists() else []


def test_every_output_and_counter(loaded: Loading, tmp_path: Path) -> None:
    """Rows and what was made of them are accounted for."""
    result = run(loaded(ROUTING), numbers(0, 1, 2, 3, 4), outputs=("late", "odd"), folder=tmp_path)
    assert lines(tmp_path, "ok") == ["2", "2", "2", "4"]
    assert lines(tmp_path, "dead") == ["b'0'"]
    assert lines(tmp_path, "late") == ["""b'{"n":3,"s":"3"}'"""]
    assert lines(tmp_path, "odd") == []
    names = MetricsFilter().with_namespace(metrics.NAMESPACE)
    counters = result.metrics().query(names)["counters"]
    assert {each.key.metric.name: each.committed for each in counters} == {
        "dead_letters": 1, "rows_filtered": 1, "rows_made": 2,
    }  # fmt: skip


def test_parts_are_asked_for(loaded: Loading) -> None:
    """Without, the column is not there."""
    with beam.Pipeline("FnApiRunner") as pipeline:
        applied = (
            pipeline
            | beam.Create([numbers(2)])
            | UserFunction(loaded(ROUTING), schema=NUMBERS, outputs=("late",), part_column=True)
        )
        applied.ok | beam.Map(_require_parts)


def _require_parts(batch: Batch) -> None:
    assert batch.column(PART).to_pylist() == [0, 1, 2]


def test_step_travels_as_text(loaded: Loading) -> None:
    """What is pickled is little more than the source, and works where the file is not."""
    source = loaded(ROUTING)
    os.unlink(source.path)
    plan = udf.Plan(typed=True, outputs=("late",))
    pickled = pickler.dumps(_Apply(source, plan, 1.0, None))
    assert len(pickled) < 1_500
    apply = pickler.loads(pickled)
    for _ in range(2):  # a worker may set it up, take it down and do so again
        apply.setup()
        assert [type(each) for each in apply.process(numbers(4, 0, 3))] == [
            Batch, beam.pvalue.TaggedOutput, beam.pvalue.TaggedOutput,
        ]  # fmt: skip
        apply.teardown()


def test_workers_in_processes_of_their_own(loaded: Loading, tmp_path: Path) -> None:
    """Nothing of the launcher's memory is needed."""
    options = PipelineOptions(["--direct_num_workers=2", "--direct_running_mode=multi_processing"])
    batches = [numbers(*range(4, 8)) for _ in range(4)]
    run(loaded(ROUTING), *batches, outputs=("late",), folder=tmp_path, options=options)
    assert lines(tmp_path, "ok") == sorted(["4", "5", "6", "7"] * 4)


def test_two_functions_of_one_name_in_one_pipeline(tmp_path: Path) -> None:
    """Each step has its own, and its own globals."""
    sources = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        file = tmp_path / name / "f.py"
        file.write_text(f"NAME = {name!r}\ndef f(row):\n  return dict(row, s=row['s'] + NAME)\n")
        sources.append(load(f"{file}:f"))
    with beam.Pipeline("FnApiRunner") as pipeline:
        rows = pipeline | beam.Create([numbers(1)])
        for number, source in enumerate(sources):
            rows = (rows | f"Step {number}" >> UserFunction(source, schema=NUMBERS)).ok
        rows | beam.Map(_require_both)


def _require_both(batch: Batch) -> None:
    assert batch.column("s").to_pylist() == ["1onetwo"]


def test_each_instance_has_its_own_globals(loaded: Loading) -> None:
    """Threads of a runner, each with an instance, do not share what the file keeps."""
    source = loaded("seen = []\ndef f(row):\n  seen.append(1)\n  return dict(row, n=len(seen))\n")
    found: list[list[int]] = []

    def work() -> None:
        apply = pickler.loads(pickler.dumps(_Apply(source, udf.Plan(typed=True), 10.0, None)))
        apply.setup()
        made = [
            each.column("n").to_pylist() for _ in range(20) for each in apply.process(numbers(1))
        ]
        apply.teardown()
        found.append([n for each in made for n in each])

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [list(range(1, 21))] * 4


def test_change_is_taken_over_between_bundles(
    loaded: Loading, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bundle has one version; one that can't be loaded is passed over."""
    source = loaded("def f(row): return dict(row, s='one')")
    now_s = 0.0
    latest = udf_reload.Latest(source, 60.0, lambda: now_s)
    monkeypatch.setattr("connectors.udf.step.latest_of", lambda source, every_s: latest)
    apply = _Apply(source, udf.Plan(typed=True), 10.0, 60.0)
    apply.setup()

    def bundle() -> list[str]:
        apply.start_bundle()
        return [
            s
            for _ in range(2)
            for each in apply.process(numbers(1))
            for s in each.column("s").to_pylist()
        ]

    assert bundle() == ["one", "one"]
    loaded("def f(row): return dict(row, s='two')")
    assert bundle() == ["one", "one"]
    now_s = 60.0
    assert bundle() == ["two", "two"]
    Path(source.path).write_text("def f(row): return (")
    now_s = 120.0
    assert bundle() == ["two", "two"]
    loaded("def f(row): return dict(row, s='three')")
    now_s = 180.0
    assert bundle() == ["three", "three"]
    apply.teardown()


@pytest.mark.parametrize(
    ("kwargs", "rule"),
    [
        ({"outputs": ("late", "late")}, "udf_outputs='late'"),
        ({"outputs": ("so late",)}, "udf_outputs='so late'"),
        ({"outputs": ("",)}, "udf_outputs=''"),
        ({"output_schema": pa.schema({"_part": pa.int32()})}, "reserved"),
        ({"output_schema": pa.schema({"_message": pa.int32()})}, "reserved"),
        ({"timeout_s": 0.0}, "udf_timeout"),
        ({"reload_s": 0.0}, "udf_reload"),
    ],
)
def test_wrong_parameters_are_refused(kwargs: Any, rule: str, loaded: Loading) -> None:
    """Before anything starts."""
    with pytest.raises(ConfigError, match=rule):
        UserFunction(loaded(ROUTING), schema=NUMBERS, **kwargs)


def test_payloads_are_those_of_messages(loaded: Loading) -> None:
    """Typed rows have none, and payloads have no schema."""
    source = loaded("def f(t: str): return t")
    with pytest.raises(ConfigError, match="takes payloads"):
        UserFunction(source, schema=NUMBERS)
    with pytest.raises(ConfigError, match="which gives payloads"):
        UserFunction(source, output_schema=NUMBERS)
