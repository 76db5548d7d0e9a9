"""Beam's tests of pipelines, metrics and transforms, with all that it marks for any runner."""

from __future__ import annotations

from unittest import mock

from apache_beam.runners.direct import direct_runner
from apache_beam.runners.portability import fn_api_runner
from apache_beam.transforms import combinefn_lifecycle_test, dofn_lifecycle_test

from tests.conformance.beam import suites

globals().update(suites.classes(suites.MODEL))


class CombineFnLifecycle(combinefn_lifecycle_test.LocalCombineFnLifecycleTest_3_cloudpickle):
    """What is called of a CombineFn, and in which order; Beam names the runners by class."""

    runner = suites.runner_class()


class DoFnLifecycle(dofn_lifecycle_test.LocalDoFnLifecycleTest):
    """What is called of a DoFn, and in which order; Beam names the runners by class."""

    def test_dofn_lifecycle(self) -> None:
        """Let the runner under test take the place of both."""
        with (
            mock.patch.object(direct_runner, "BundleBasedDirectRunner", suites.new_runner),
            mock.patch.object(fn_api_runner, "FnApiRunner", suites.new_runner),
        ):
            super().test_dofn_lifecycle()
