"""Beam's integration tests of Pub/Sub, by the local runner on the broker of this project."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from apache_beam.examples import streaming_wordcount_it_test
from apache_beam.internal import pickler
from apache_beam.io.gcp import pubsub_integration_test
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions, TestOptions
from apache_beam.pipeline import Pipeline
from apache_beam.testing.test_pipeline import TestPipeline
from hamcrest import assert_that

from connectors.broker import Broker
from tests.conformance.beam import suites

INPUT = pubsub_integration_test.PubSubIntegrationTest.INPUT_MESSAGES
OUTPUT = pubsub_integration_test.PubSubIntegrationTest.EXPECTED_OUTPUT_MESSAGES


class Verifying(suites.runner_class()):  # type: ignore[misc]
    """The runner under test as Beam's test runners are: a matcher tells that a job has done it."""

    def run_pipeline(self, pipeline: Pipeline, options: PipelineOptions) -> Any:
        test = options.view_as(TestOptions)
        matcher, test.on_success_matcher = test.on_success_matcher, None
        result = super().run_pipeline(pipeline, options)
        if options.view_as(StandardOptions).streaming:
            try:
                assert_that(result, pickler.loads(matcher))
            finally:
                result.cancel()
        return result


@pytest.fixture(autouse=True)
def broker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run a broker that Beam's tests and pipelines find; what they create is there at once."""
    options = f"--runner={__name__}.Verifying --project=test-project"
    monkeypatch.setattr(TestPipeline, "pytest_test_pipeline_options", options)
    at_once = SimpleNamespace(time=time.time, sleep=lambda _: None)
    monkeypatch.setattr(pubsub_integration_test, "time", at_once)
    with Broker(data_dir=tmp_path / "broker") as running:
        monkeypatch.setenv("PUBSUB_EMULATOR_HOST", running.address)
        yield


class PubSub(pubsub_integration_test.PubSubIntegrationTest):
    """Held to what Beam expects of Dataflow: one message of each id, event time from attributes."""

    INPUT_MESSAGES = {"Verifying": INPUT["TestDataflowRunner"]}  # noqa: RUF012
    EXPECTED_OUTPUT_MESSAGES = {"Verifying": OUTPUT["TestDataflowRunner"]}  # noqa: RUF012


class WordCount(streaming_wordcount_it_test.StreamingWordCountIT):
    """Beam's example of a streaming pipeline, as it is."""
