"""Beam's test suite of a portable runner, with user code in two processes."""

from __future__ import annotations

import apache_beam as beam
from apache_beam.runners.portability.fn_api_runner import fn_runner_test

from tests.conformance.beam.suites import pipeline


class WithWorkers(fn_runner_test.FnApiRunnerTest):
    """Two SDK harnesses, each a process."""

    def create_pipeline(self, is_drain: bool = False) -> beam.Pipeline:
        return pipeline(is_drain, workers=2)
