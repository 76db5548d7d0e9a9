"""Beam's own tests, run on the local runner: how they come to use it, and the proof that they did.

Beam's tests name no runner, or one of Beam's local ones by its name. Both go through one table of
names, which here leads to the runner under test. Every run of a pipeline is noted: a test that ran
on another runner fails, and one that ran none is reported as skipped, so that a passed test is one
that the runner under test has passed. A module of Beam's without any of those fails.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.runners import runner
from apache_beam.testing.test_pipeline import TestPipeline
from apache_beam.transforms import ptransform

from tests.conformance.beam.expected import ELSEWHERE, FAILS, reason_for
from tests.conformance.beam.suites import RUNNER, beam_name, runner_class

LOCAL = ("apache_beam.runners.direct.", "apache_beam.runners.portability.fn_api_runner.")
MARKS = (
    "examples_postcommit", "it_postcommit", "it_validatesrunner", "no_sickbay_batch",
    "no_sickbay_streaming", "no_xdist", "sickbay_dataflow", "sickbay_direct", "sickbay_flink",
    "sickbay_spark", "uses_dill", "uses_gcp_java_expansion_service",
    "uses_java_expansion_service", "uses_mock_api", "uses_pyarrow", "xlang_sql_expansion_service",
)  # fmt: skip
TIMEOUT_S = 120

used: list[type] = []
"""The runners of the pipelines that the current test has run."""

used_in: set[str] = set()
"""The modules of Beam's in which a test has run a pipeline on the runner under test."""


def pytest_configure(config: pytest.Config) -> None:
    """Make the marks known that Beam puts on its tests."""
    for mark in MARKS:
        config.addinivalue_line("markers", f"{mark}: a mark of Beam's")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what the tables name."""
    for item in items:
        name = name_of(item)
        if name is None:
            continue
        item.add_marker(pytest.mark.timeout(TIMEOUT_S))
        if reason := reason_for(name, ELSEWHERE):
            item.add_marker(pytest.mark.skip(reason))
        elif reason := reason_for(name, FAILS):
            item.add_marker(pytest.mark.xfail(reason=reason, strict=True))


def name_of(item: pytest.Item) -> str | None:
    """Return the name of one of Beam's tests; None for any other."""
    cls = getattr(item, "cls", None)
    if cls is None or Path(__file__).parent not in item.path.parents:
        return None
    return beam_name(cls, item.name)


def module_of(item: Any) -> str:
    """Return the module of Beam's that a test is from."""
    return str(item.cls.__module__).removeprefix("apache_beam.")


@pytest.fixture(scope="session", autouse=True)
def named_runners(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Let the names of Beam's local runners mean the runner under test, and note every run."""
    names = runner._RUNNER_MAP
    options = f"--runner={RUNNER} --temp_location={tmp_path_factory.mktemp('temp')}"
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name, path in names.items() if path.startswith(LOCAL)]:
            patch.setitem(names, name, RUNNER)
        # Beam's own configuration of pytest turns this on; some of its tests expect it.
        patch.setattr(ptransform, "ptransform_fn_typehints_enabled", True)
        patch.setattr(TestPipeline, "pytest_test_pipeline_options", options)
        patch.setattr(beam.Pipeline, "run", noting(beam.Pipeline.run))
        yield


def noting(run: Callable[..., Any]) -> Callable[..., Any]:
    """Return the method of a pipeline that also notes the runner it was called for."""

    @functools.wraps(run)
    def noted(self: beam.Pipeline, *args: Any, **kwargs: Any) -> Any:
        used.append(type(self.runner))
        return run(self, *args, **kwargs)

    return noted


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let a test pass only if it ran a pipeline, and on the runner under test."""
    report = yield
    if call.when == "setup":
        used.clear()
    elif call.when == "call" and name_of(item):
        judge(item, report)
    return report


def judge(item: pytest.Item, report: pytest.TestReport) -> None:
    """Turn the report of a test that passed without the runner under test; note the others."""
    others = {cls.__name__ for cls in used if not issubclass(cls, runner_class())}
    if report.passed and others:
        report.outcome = "failed"
        report.longrepr = f"ran on {sorted(others)} instead of {RUNNER}"
    elif report.passed and not used:
        report.outcome = "skipped"
        report.longrepr = (__file__, 1, "Skipped: runs no pipeline")
    elif used:
        used_in.add(module_of(item))


@pytest.fixture(scope="module", autouse=True)
def every_module_runs(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail behind the last test of a file if one of its modules never used the runner."""
    yield
    config = request.config
    is_part = config.option.keyword or config.option.markexpr or any("::" in a for a in config.args)
    modules = {module_of(item) for item in request.session.items if item.path == request.path}
    assert is_part or modules <= used_in, f"never use {RUNNER}: {sorted(modules - used_in)}"


@pytest.fixture(scope="session", autouse=True)
def no_thread_left() -> None:
    """Let Beam's own tests leave threads behind, as some of them do, where ours may not."""
