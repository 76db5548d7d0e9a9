"""Which of Beam's own tests are run, as they lie in the installed wheel.

Each module stands with the number of its tests that at least run a pipeline on the runner under
test: should Beam, or the way its tests find their runner, change, then fewer do, and a test fails.
"""

from __future__ import annotations

import importlib
import os
import unittest
from collections.abc import Iterable
from typing import Any

__all__ = ["RAN", "RUNNER", "beam_name", "classes", "new_runner", "runner_class"]

# Which runner is under test. Another one shows what a test demands of any runner:
#   BEAM_CONFORMANCE_RUNNER=apache_beam.runners.portability.fn_api_runner.FnApiRunner pytest ...
RUNNER = os.environ.get("BEAM_CONFORMANCE_RUNNER", "runners.local.LocalRunner")

CORE = {
    "pipeline_test": 10000,
    "metrics.metric_test": 10000,
    "testing.test_pipeline_test": 10000,
    "testing.util_test": 10000,
    "pvalue_test": 10000,
    "typehints.typed_pipeline_test": 10000,
    "typehints.typecheck_test": 10000,
    "typehints.row_type_test": 10000,
    "typehints.tagged_output_typehints_test": 10000,
    "runners.pipeline_utils_test": 10000,
    "runners.direct.direct_runner_test": 10000,
    "runners.direct.sdf_direct_runner_test": 10000,
    "runners.common_test": 10000,
    "coders.row_coder_test": 10000,
    "coders.coders_test": 10000,
    "testing.synthetic_pipeline_test": 10000,
    "runners.portability.fn_api_runner.trigger_manager_test": 10000,
    "utils.python_callable_test": 10000,
    "runners.portability.fn_api_runner.translations_test": 10000,
    "options.pipeline_options_context_test": 10000,
}
TRANSFORMS = {
    "transforms.util_test": 10000,
    "transforms.window_test": 10000,
    "transforms.combinefn_lifecycle_test": 10000,
    "transforms.combiners_test": 10000,
    "transforms.dofn_lifecycle_test": 10000,
    "transforms.sideinputs_test": 10000,
    "transforms.ptransform_test": 10000,
    "transforms.core_test": 10000,
    "transforms.batch_dofn_test": 10000,
    "transforms.create_test": 10000,
    "transforms.timestamped_value_type_test": 10000,
    "transforms.fully_qualified_named_transform_test": 10000,
    "transforms.error_handling_test": 10000,
    "transforms.stats_test": 10000,
    "transforms.transforms_keyword_only_args_test": 10000,
    "transforms.write_ptransform_test": 10000,
    "transforms.resources_test": 10000,
    "transforms.enrichment_test": 10000,
    "transforms.display_test": 10000,
}
STREAMING = {
    "testing.test_stream_test": 10000,
    "testing.test_stream_it_test": 10000,
    "transforms.trigger_test": 10000,
    "transforms.userstate_test": 10000,
    "transforms.deduplicate_test": 10000,
    "transforms.periodicsequence_test": 10000,
    "transforms.periodicsequence_it_test": 10000,
    "io.unbounded_source_test": 10000,
    "io.watch_test": 10000,
}
IO = {
    "io.iobase_test": 10000,
    "io.textio_test": 10000,
    "io.avroio_test": 10000,
    "io.fileio_test": 10000,
    "io.tfrecordio_test": 10000,
    "io.parquetio_test": 10000,
    "io.filebasedsource_test": 10000,
    "io.filebasedsink_test": 10000,
    "io.sources_test": 10000,
    "io.concat_source_test": 10000,
    "io.iobase_it_test": 10000,
}
EXAMPLES = {
    "examples.wordcount_test": 10000,
    "examples.wordcount_minimal_test": 10000,
    "examples.wordcount_debugging_test": 10000,
    "examples.streaming_wordcount_debugging_test": 10000,
    "examples.matrix_power_test": 10000,
    "examples.avro_nyc_trips_test": 10000,
    "examples.complete.autocomplete_test": 10000,
    "examples.complete.distribopt_test": 10000,
    "examples.complete.estimate_pi_test": 10000,
    "examples.complete.tfidf_test": 10000,
    "examples.complete.top_wikipedia_sessions_test": 10000,
    "examples.complete.game.leader_board_test": 10000,
    "examples.complete.game.hourly_team_score_test": 10000,
    "examples.complete.game.user_score_test": 10000,
    "examples.complete.game.game_stats_test": 10000,
    "examples.cookbook.bigquery_side_input_test": 10000,
    "examples.cookbook.bigquery_tornadoes_test": 10000,
    "examples.cookbook.coders_test": 10000,
    "examples.cookbook.combiners_test": 10000,
    "examples.cookbook.custom_ptransform_test": 10000,
    "examples.cookbook.filters_test": 10000,
    "examples.cookbook.group_with_coder_test": 10000,
    "examples.cookbook.mergecontacts_test": 10000,
    "examples.cookbook.multiple_output_pardo_test": 10000,
    "examples.cookbook.ordered_window_elements.streaming_test": 10000,
    "examples.cookbook.ordered_window_elements.batch_test": 10000,
    "examples.snippets.snippets_test": 10000,
    "examples.snippets.util_test": 10000,
}

RAN = {**CORE, **TRANSFORMS, **STREAMING, **IO, **EXAMPLES}


def runner_class() -> type[Any]:
    """Return the class of the runner under test."""
    module, name = RUNNER.rsplit(".", 1)
    found: type[Any] = getattr(importlib.import_module(module), name)
    return found


def new_runner(**kwargs: Any) -> Any:
    """Return a runner to be tested."""
    return runner_class()(**kwargs)


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
