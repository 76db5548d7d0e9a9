"""What Beam's tests do not show on the local runner: two tables, each entry with its reason.

The README of the runner shows them to users.
"""

from __future__ import annotations

__all__ = ["ELSEWHERE", "FAILS", "reason_for"]

_PANDAS = "needs an older pandas, as Beam's data frames do"
_CLOUD = "needs Google Cloud"
_OTHER = "is about another runner's parts"
_PERIODS = "takes 14 s of real time; it runs with the state in memory"

# Tests that fail on the local runner. They are strict: once one passes, its entry has to go.
FAILS: dict[str, str] = {
    "testing.test_stream_test.TestStreamTest.test_windowed_values_interpreted_correctly": (
        "gives a TestStream elements in windows, but the protocol says that its output has none"
    ),
    "transforms.trigger_test.TestStreamTranscriptTest"
    ".test_timestamp_combiner_custom_timestamping_earliest_1": (
        "uses OUTPUT_AT_EARLIEST_TRANSFORMED, which is missing in Beam's protocol"
    ),
    "transforms.trigger_test.WeakTestStreamTranscriptTest"
    ".test_timestamp_combiner_custom_timestamping_earliest_1": (
        "uses OUTPUT_AT_EARLIEST_TRANSFORMED, which is missing in Beam's protocol"
    ),
    "examples.complete.game.leader_board_test.LeaderBoardTest.test_leader_board_users": (
        "expects that what a repeated trigger has not fired is lost at the end of the window"
    ),
    "transforms.util_test.ReshuffleTest.test_reshuffle_custom_window_preserves_metadata_0": (
        "expects microseconds, of which Beam's coder of elements keeps milliseconds"
    ),
    "transforms.util_test.ReshuffleTest.test_reshuffle_custom_window_preserves_metadata_1": (
        "expects microseconds, of which Beam's coder of elements keeps milliseconds"
    ),
    "transforms.util_test.ReshuffleTest.test_reshuffle_default_window_preserves_metadata_1": (
        "expects of Beam 2.64's Reshuffle that it forgets the pane; here it is kept"
    ),
}

# Classes and tests that are not run, because they say nothing about this runner.
ELSEWHERE: dict[str, str] = {
    "examples.complete.autocomplete_test.AutocompleteTest.test_autocomplete_it": _CLOUD,
    "examples.cookbook.filters_test.FiltersTest.test_filters_output_bigquery_matcher": _CLOUD,
    "io.fileio_test.MatchIntegrationTest.test_transform_on_gcs": _CLOUD,
    "io.textio_test.CsvTest.test_csv_read_with_filename": _PANDAS,
    "io.textio_test.CsvTest.test_csv_read_write": _PANDAS,
    "io.textio_test.CsvTest.test_non_utf8_csv_read_write": _PANDAS,
    "io.textio_test.JsonTest.test_json_read_write": _PANDAS,
    "io.textio_test.JsonTest.test_numeric_strings_preserved": _PANDAS,
    "metrics.metric_test.HistogramTest.test_histogram": _OTHER,
    "runners.direct.direct_runner_test.DirectPipelineResultTest": _OTHER,
    "runners.direct.direct_runner_test.DirectRunnerRetryTests": _OTHER,
    "testing.test_stream_test.ReverseTestStreamTest": (
        "uses PairWithTiming, a primitive of the BundleBasedDirectRunner"
    ),
    "transforms.combinefn_lifecycle_test": "names runners by class; it runs as CombineFnLifecycle",
    "transforms.dofn_lifecycle_test": "names runners by class; it runs as DoFnLifecycle",
    "transforms.fully_qualified_named_transform_test"
    ".FullyQualifiedNamedTransformTest.test_resolve": _PANDAS,
    "transforms.util_test.GroupByEncryptedKeyTest": "needs the secrets of a Google Cloud project",
    "core.test_fn_runner.Durable.test_pardo_et_timer_with_no_firing": _PERIODS,
    "core.test_fn_runner.Durable.test_pardo_et_timer_with_no_reset": _PERIODS,
    "core.test_fn_runner.Durable.test_pardo_et_timer_with_no_reset_and_no_clear": _PERIODS,
    "more.test_workers.WithWorkers.test_pardo_et_timer_with_no_firing": _PERIODS,
    "more.test_workers.WithWorkers.test_pardo_et_timer_with_no_reset": _PERIODS,
    "more.test_workers.WithWorkers.test_pardo_et_timer_with_no_reset_and_no_clear": _PERIODS,
    "more.test_pubsub.PubSub.test_batch_write_with_ordering_key": (
        "needs ordered subscriptions, which the broker of this project does not offer"
    ),
    "more.test_workers.WithWorkers.test_batch_rebatch_pardos": (
        "expects a Python warning in this process, not in that of a worker"
    ),
}


def reason_for(name: str, table: dict[str, str]) -> str | None:
    """Return the table's reason for a test, or for the class or module that it belongs to."""
    parts = name.split(".")
    prefixes = (".".join(parts[:end]) for end in range(len(parts), 0, -1))
    return next((table[prefix] for prefix in prefixes if prefix in table), None)
