"""Beam's test suite of a portable runner, in each way the local runner can run.

Its pipelines come from ``create_pipeline``, which is all that is replaced here.
"""

from __future__ import annotations

import shutil
import tempfile
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import fn_runner_test

from tests.conformance.beam.suites import new_runner


def pipeline(is_drain: bool = False, **options: Any) -> beam.Pipeline:
    """Return a pipeline for the runner under test, which drains it from the start on demand."""
    return beam.Pipeline(runner=new_runner(drain=is_drain), options=PipelineOptions([], **options))


class InMemory(fn_runner_test.FnApiRunnerTest):
    """The defaults: one worker in this process, state in a temporary folder."""

    def create_pipeline(self, is_drain: bool = False) -> beam.Pipeline:
        return pipeline(is_drain)


class Durable(fn_runner_test.FnApiRunnerTest):
    """State on disk, every epoch synced, failures retried."""

    def create_pipeline(self, is_drain: bool = False) -> beam.Pipeline:
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        return pipeline(is_drain, state_dir=folder, job_name=self._testMethodName)


class WithWorkers(fn_runner_test.FnApiRunnerTest):
    """Two SDK harnesses, each a process."""

    def create_pipeline(self, is_drain: bool = False) -> beam.Pipeline:
        return pipeline(is_drain, workers=2)


class Metrics(fn_runner_test.FnApiRunnerMetricsTest):
    """What is counted: by the user, by element and by time."""

    def create_pipeline(self) -> beam.Pipeline:
        return pipeline()


class LargeGroups(fn_runner_test.FnApiBasedStateBackedCoderTest):
    """Groups whose values are read as they are needed."""

    def create_pipeline(self) -> beam.Pipeline:
        return pipeline()
