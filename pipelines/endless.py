"""A job on the local runner: it goes on until someone stops it, and goes on again from there."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions
from apache_beam.runners.runner import PipelineState

from connectors.job import JobOptions
from pipelines.changes import Remembered
from pipelines.figures import WRITING, Figures
from pipelines.interrupt import stoppable
from pipelines.progress import Display, JobLine, ProgressOptions, Seen
from runners.local import LocalRunner
from runners.local.drops import DROPPED
from runners.local.options import LocalOptions, Settings, settings
from runners.local.result import LocalResult
from runners.local.state_id import StateId, keep, state_id
from transforms.errors import ConfigError
from transforms.metrics import LATE_ROWS, NAMESPACE
from transforms.weight import rows_in

__all__ = ["is_local", "run_endless"]

_log = logging.getLogger("headrace")

_NAMES = ("local", "localrunner", "runners.local.localrunner")


def is_local(name: str | None) -> bool:
    """Tell whether a name of a runner, in any case, means the local one."""
    return name is not None and name.lower() in _NAMES


def run_endless(
    build: Callable[[beam.Pipeline], Any],
    options: PipelineOptions,
    job_name: str,
    max_seconds: float | None = None,
    *,
    parameters: Remembered | None = None,
    figures: Figures = WRITING,
) -> LocalResult:
    """Run a graph on the local runner until it is stopped, or until its input ends.

    The first Ctrl-C or SIGTERM stops it after the epoch at work, as ``--on_stop`` says. The second
    one ends the process, which harms nothing: the epoch at work is taken back at the next start.

    Args:
        build: adds the steps to the pipeline that it is given.
        options: of Beam and of the local runner.
        job_name: the job's name, if the options give none.
        max_seconds: after this time it is stopped as by a signal.
        parameters: what its state depends on; kept in the state, and compared when it goes on.
        figures: what the progress line tells.

    Returns:
        What is known about the job that has ended.

    Raises:
        ConfigError: there is no state folder, so that a stop would lose what windows hold; or the
            state can't go on with a parameter that has changed.
        LocalRunnerError: an option, or the state, can't be used.
        Interrupted: a signal came before the job ran, or stopped one whose input would have ended.
        Exception: what a step raised.
    """
    chosen = _chosen(options, job_name)
    log_every_s = options.view_as(ProgressOptions).log_every_s
    with stoppable() as stopping:
        identity = _identify(options, chosen)
        changes = parameters.compare(identity.notes) if parameters else []
        runner = LocalRunner(weigh=rows_in)
        pipeline = beam.Pipeline(runner=runner, options=options)
        build(pipeline)
        _begin(chosen, identity, parameters)
        for change in changes:
            _log.warning("goes on with another parameter: %s", change)
        with _quiet(), _ending(runner, chosen):
            result = pipeline.run()
            stopping.by(lambda signal: _stop(result, chosen, signal))
            with _display(result, log_every_s, figures):
                _wait(result, chosen, max_seconds)
    _tell(result, chosen)
    return result


@contextlib.contextmanager
def _ending(runner: LocalRunner, chosen: Settings) -> Iterator[None]:
    """Leave no job behind: a signal may come between its start and the moment it can be stopped."""
    try:
        yield
    except BaseException:
        if runner.result is not None:
            runner.result.stop(chosen.on_stop)
        raise


def _chosen(options: PipelineOptions, job_name: str) -> Settings:
    if options.view_as(LocalOptions).state_dir is None:
        raise ConfigError(
            "--state_dir", None,
            "is required on the local runner: what is in windows when it stops is kept there",
            "Give for example --state_dir=./state",
        )  # fmt: skip
    google = options.view_as(GoogleCloudOptions)
    google.job_name = google.job_name or job_name
    return settings(options)


def _identify(options: PipelineOptions, chosen: Settings) -> StateId:
    """Give what the job writes a name that lasts as long as its state."""
    identity = state_id(chosen)
    options.view_as(JobOptions).headrace_job = f"{chosen.job_name}-{identity.name}"
    return identity


def _begin(chosen: Settings, identity: StateId, parameters: Remembered | None) -> None:
    """Make the state, only now: a start that is refused leaves nothing behind."""
    keep(chosen, identity, parameters.texts if parameters else None)
    verb = "begins" if identity.is_new else "goes on where it stopped"
    _log.info("job %s %s; its state is in %s", chosen.job_name, verb, chosen.folder)


def _stop(result: LocalResult, chosen: Settings, reason: str) -> None:
    consequence = {
        "suspend": "open windows are kept in the state",
        "drain": "the sources end, and all windows are closed and written",
    }
    _log.info("%s: %s", reason, consequence[chosen.on_stop])
    result.job.stop(chosen.on_stop)


def _wait(result: LocalResult, chosen: Settings, max_seconds: float | None) -> None:
    if max_seconds is not None and result.wait_until_finish(1_000 * max_seconds) is None:
        _stop(result, chosen, "--max_seconds")
    result.wait_until_finish()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep Beam from logging whatever a step raises: the user gets it once, from us."""
    log = logging.getLogger("apache_beam.runners.common")
    level = log.level
    log.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        log.setLevel(level)


def _display(result: LocalResult, log_every_s: float, figures: Figures) -> Display:
    def progress() -> Seen:
        found = result.progress()
        ours = {
            name: number for (space, name), number in found.numbers.items() if space == NAMESPACE
        }
        ours[LATE_ROWS.name] = found.numbers.get(DROPPED, 0)
        return Seen(ours, found.epoch, found.watermark_us, found.time_s)

    line = JobLine(progress, figures=figures)
    return Display(line.live, line.log, begun=line.begun, log_every_s=log_every_s)


def _tell(result: LocalResult, chosen: Settings) -> None:
    if result.state == PipelineState.STOPPED:
        _log.info(
            "suspended after epoch %d; the same command goes on (--job_name=%s --state_dir=%s)",
            result.progress().epoch, chosen.job_name, chosen.state_dir,
        )  # fmt: skip
    elif result.state == PipelineState.DRAINED:
        _log.info("drained: everything is written, and the next start begins anew")
