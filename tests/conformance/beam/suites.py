"""Which of Beam's own tests are run, as they lie in the installed wheel.

``core`` runs with all other tests, ``more`` by ``make conformance``. At least one test of each
module has to run a pipeline on the runner under test.
"""

from __future__ import annotations

import importlib
import os
import unittest
from collections.abc import Iterable
from typing import Any

__all__ = ["RUNNER", "beam_name", "classes", "new_runner", "pipeline", "runner_class"]

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

# Which runner is under test. Another one shows what a test demands of any runner:
#   BEAM_CONFORMANCE_RUNNER=apache_beam.runners.portability.fn_api_runner.FnApiRunner pytest ...
RUNNER = os.environ.get("BEAM_CONFORMANCE_RUNNER", "runners.local.LocalRunner")

# --- core: every module of Beam's with tests that any runner has to pass, and time ---------------

MODEL = (
    "metrics.metric_test",  # the other tests of metrics/ run no pipeline
    "pipeline_test",
    "transforms.combiners_test",
    "transforms.deduplicate_test",
    "transforms.ptransform_test",
    "transforms.sideinputs_test",
    "transforms.util_test",
)
TIME = (
    "testing.test_stream_test",
    "transforms.trigger_test",
    "transforms.userstate_test",
)

# --- more ----------------------------------------------------------------------------------------

TYPES = (
    "coders.coders_test",
    "coders.row_coder_test",
    "typehints.row_type_test",
    "typehints.tagged_output_typehints_test",
    "typehints.typecheck_test",
    "typehints.typed_pipeline_test",
)
RUNNERS = (
    "options.pipeline_options_context_test",
    "runners.common_test",
    "runners.direct.direct_runner_test",
    "runners.direct.sdf_direct_runner_test",
    "runners.portability.fn_api_runner.translations_test",
    "testing.synthetic_pipeline_test",
    "testing.util_test",
)
TRANSFORMS = (
    "transforms.core_test",
    "transforms.create_test",
    "transforms.error_handling_test",
    "transforms.fully_qualified_named_transform_test",
    "transforms.stats_test",
    "transforms.timestamped_value_type_test",
    "transforms.transforms_keyword_only_args_test",
    "transforms.window_test",
    "transforms.write_ptransform_test",
)
SOURCES = (
    "io.avroio_test",
    "io.concat_source_test",
    "io.filebasedsink_test",
    "io.filebasedsource_test",
    "io.fileio_test",
    "io.iobase_test",
    "io.parquetio_test",
    "io.sources_test",
    "io.textio_test",
    "io.tfrecordio_test",
    "io.unbounded_source_test",
    "io.watch_test",
    "transforms.periodicsequence_test",
)
EXAMPLES = (
    "examples.avro_nyc_trips_test",
    "examples.complete.autocomplete_test",
    "examples.complete.distribopt_test",
    "examples.complete.estimate_pi_test",
    "examples.complete.game.game_stats_test",
    "examples.complete.game.hourly_team_score_test",
    "examples.complete.game.leader_board_test",
    "examples.complete.game.user_score_test",
    "examples.complete.tfidf_test",
    "examples.complete.top_wikipedia_sessions_test",
    "examples.cookbook.bigquery_side_input_test",
    "examples.cookbook.bigquery_tornadoes_test",
    "examples.cookbook.coders_test",
    "examples.cookbook.combiners_test",
    "examples.cookbook.custom_ptransform_test",
    "examples.cookbook.filters_test",
    "examples.cookbook.mergecontacts_test",
    "examples.cookbook.multiple_output_pardo_test",
    "examples.matrix_power_test",
    "examples.snippets.snippets_test",
    "examples.snippets.util_test",
    "examples.streaming_wordcount_debugging_test",
    "examples.wordcount_debugging_test",
    "examples.wordcount_minimal_test",
    "examples.wordcount_test",
)


def runner_class() -> type[Any]:
    """Return the class of the runner under test."""
    module, name = RUNNER.rsplit(".", 1)
    found: type[Any] = getattr(importlib.import_module(module), name)
    return found


def new_runner(**kwargs: Any) -> Any:
    """Return a runner to be tested."""
    return runner_class()(**kwargs)


def pipeline(is_drain: bool = False, **options: Any) -> beam.Pipeline:
    """Return a pipeline for the runner under test, which drains it from the start on demand."""
    return beam.Pipeline(runner=new_runner(drain=is_drain), options=PipelineOptions([], **options))


def classes(modules: Iterable[str]) -> dict[str, type[unittest.TestCase]]:
    """Return the test classes defined in modules of Beam, for the globals of a test file.

    The names say the module too: ``util_test.ReshuffleTest``. Classes that a module imports from
    another are left to the other.
    """
    found = {}
    for module in modules:
        loaded = importlib.import_module(f"apache_beam.{module}")
        for name, value in vars(loaded).items():
            if (
                isinstance(value, type)
                and issubclass(value, unittest.TestCase)
                and value.__module__ == loaded.__name__
            ):
                found[f"{module.rsplit('.', 1)[-1]}.{name}"] = value
    return found


def beam_name(cls: type, test: str) -> str:
    """Return the name of a test as the tables write it: ``transforms.util_test.A.test_b``."""
    module = cls.__module__.removeprefix("apache_beam.").removeprefix("tests.conformance.beam.")
    return f"{module}.{cls.__qualname__}.{test}"
