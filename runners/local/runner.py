"""``LocalRunner``: any Beam pipeline on one machine, in batch and in streaming, durably."""

from __future__ import annotations

from typing import Any

from apache_beam.options.pipeline_options import DebugOptions, PipelineOptions, TypeOptions
from apache_beam.options.value_provider import RuntimeValueProvider
from apache_beam.pipeline import Pipeline
from apache_beam.runners.runner import PipelineRunner

from runners.local.drops import Weigh
from runners.local.internals import (
    beam_runner_api_pb2,
    common_urns,
    environments,
    group_by_key_input_visitor,
    validate_pipeline_graph,
)
from runners.local.job import Job
from runners.local.options import settings
from runners.local.replacements import replacements
from runners.local.result import LocalResult

__all__ = ["LocalRunner"]

_REQUIREMENTS = (
    common_urns.requirements.REQUIRES_STATEFUL_PROCESSING.urn,
    common_urns.requirements.REQUIRES_BUNDLE_FINALIZATION.urn,
    common_urns.requirements.REQUIRES_STABLE_INPUT.urn,
    common_urns.requirements.REQUIRES_SPLITTABLE_DOFN.urn,
    common_urns.primitives.TEST_STREAM.urn,
)


_JSON = (str, int, float, bool, list, dict)


class LocalRunner(PipelineRunner):
    """Runs a pipeline on this machine, in epochs that are committed as a whole.

    The options are those of ``runners.local.options`` (``--state_dir``, ``--on_stop``,
    ``--workers``, ``--max_attempts``) and Beam's ``--job_name``.

    Guarantees:
        With a state folder, what has been committed survives the death of the process at any
        moment: state, timers, open windows, elements between steps, and how far sources have
        come. What has not is taken back as a whole, and done again. Bundles are finalized, and
        so messages acknowledged, after the commit. What a step reads behind a GroupByKey or a
        Reshuffle was committed before: when it is done again, it gets the same elements.
        Without a state folder the same holds until the process ends.

    Args:
        drain: end all sources as soon as they are asked first, as a drain does.
        weigh: how much a value counts, such as the rows in it, in the counter of what is dropped
            for being late, which is ``runners.local.drops.DROPPED``; by default 1.

    Attributes:
        result: of the pipeline that was started last, from just before it runs.
    """

    def __init__(self, *, drain: bool = False, weigh: Weigh | None = None) -> None:
        super().__init__()
        self._drain, self._weigh = drain, weigh
        self.result: LocalResult | None = None

    def run_pipeline(self, pipeline: Pipeline, options: PipelineOptions) -> LocalResult:
        """Start a pipeline.

        A pipeline whose input ends has ended when this returns, as with Beam's FnApiRunner. Of
        any other this returns at once.

        Raises:
            LocalRunnerError: an option, or the state, can't be used.
            Exception: what user code has raised, if the input ends.
            BaseException: what has interrupted the wait, as Ctrl-C does; the job is suspended, or
                drained, as ``--on_stop`` says.
        """
        RuntimeValueProvider.set_runtime_options({})
        _enable_fn_api(options)
        chosen = settings(options)
        pipeline.replace_all(replacements(pipeline))
        pipeline.visit(
            group_by_key_input_visitor(
                not options.view_as(TypeOptions).allow_non_deterministic_key_coders
            )
        )
        proto = pipeline.to_runner_api(
            default_environment=environments.EmbeddedPythonEnvironment.default()
        )
        validate_pipeline_graph(proto)
        self.check_requirements(proto, _REQUIREMENTS)
        job = Job(proto, chosen, _as_json(options), drain=self._drain, weigh=self._weigh)
        self.result = result = LocalResult(job)
        with result.interruptible():
            job.start()
            if not _is_unbounded(proto):
                result.wait_until_finish()
        return result


def _enable_fn_api(options: PipelineOptions) -> None:
    debug = options.view_as(DebugOptions)
    debug.experiments = [*(debug.experiments or []), "beam_fn_api"]


def _as_json(options: PipelineOptions) -> dict[str, Any]:
    """Return what was given of the options, without what JSON can't say."""
    given = options.get_all_options(drop_default=True, retain_unknown_options=True)
    return {name: value for name, value in given.items() if isinstance(value, _JSON)}


def _is_unbounded(proto: Any) -> bool:
    unbounded = beam_runner_api_pb2.IsBounded.UNBOUNDED
    return any(each.is_bounded == unbounded for each in proto.components.pcollections.values())
