"""Beam's test suite of a portable runner, with the state in memory and on disk.

Its pipelines come from ``create_pipeline``, which is all that is replaced here.
"""

from __future__ import annotations

import shutil
import tempfile
from unittest import mock

import apache_beam as beam
from apache_beam.runners.portability.fn_api_runner import fn_runner_test

from runners.local import group
from tests.conformance.beam.suites import pipeline


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


class Metrics(fn_runner_test.FnApiRunnerMetricsTest):
    """What is counted: by the user, by element and by time."""

    def create_pipeline(self) -> beam.Pipeline:
        created = pipeline()
        run = created.run

        def run_and_show() -> beam.runners.runner.PipelineResult:
            """Show all there is for each stage: a metric says itself which step it is of."""
            result = run()
            infos = list(result.monitoring_infos())
            result._monitoring_infos_by_stage = {"": [], "before": infos, "behind": infos}
            return result

        created.run = run_and_show
        return created


class LargeGroups(fn_runner_test.FnApiBasedStateBackedCoderTest):
    """Groups whose values are read as they are needed."""

    def test_gbk_many_values(self) -> None:
        """Take the 70 KB of the test for a large group."""
        with mock.patch.object(group, "_PANE_INLINE_MAX", 1_000):
            super().test_gbk_many_values()

    def create_pipeline(self) -> beam.Pipeline:
        return pipeline()
