"""The launcher: a command line becomes Params, a graph, a run and an exit code.

    0         the run succeeded; on the local runner: the job was suspended or drained in order
    1         the run failed; nothing was acknowledged, so that nothing is lost (what was read
              from a --topic is: its subscription ends with the run). On the local runner: nothing
              since the last commit, from which the next start goes on
    2         the command line, or the state folder that it names, can't be used; nothing was
              started
    130, 143  stopped by Ctrl-C or SIGTERM; as 1. On the local runner: by the second signal, for
              the first one is a request

On a bounded runner the run commits as a whole: files become visible and messages are
acknowledged when everything has succeeded. The local runner commits every epoch, again and again.
On other runners the runner commits.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import logging
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any, NoReturn

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions, StandardOptions

from connectors.ledger import Commit
from connectors.run import Limits, Run
from pipelines.elsewhere import run_elsewhere
from pipelines.ending import end_with
from pipelines.endless import is_local, run_endless
from pipelines.figures import WRITING, Figures
from pipelines.filters import tell_unmatched
from pipelines.help_page import help_text
from pipelines.interrupt import Interrupted, interruptible, uninterrupted
from pipelines.naming import naming_flags
from pipelines.params import Group, Parser, parse_flags, remembered
from pipelines.preflight import require_services
from pipelines.progress import Progress, ProgressOptions
from runners import direct
from runners.local.errors import (
    LocalRunnerError,
    OptionError,
    StoreCorrupt,
    StoreError,
    StoreFull,
)
from runners.local.failure import explain
from runners.local.options import LocalOptions
from transforms import errors

__all__ = [
    "beam_parser",
    "log_to_stderr",
    "main",
    "other_flags",
    "reported",
    "run_bounded",
    "status",
]

_log = logging.getLogger("headrace")

Build = Callable[[beam.Pipeline], Any]


def main(module_name: str) -> NoReturn:
    """Run a pipeline module with this process's command line, and exit.

    Args:
        module_name: importable name, so that no class is pickled as ``__main__``'s.
    """
    log_to_stderr()
    end_with(lambda: status(importlib.import_module(module_name), sys.argv[1:]))


def log_to_stderr() -> None:
    """Set up the log of a process that runs pipelines: ours from INFO on, Beam's from WARNING."""
    # By way of the present sys.stderr, which the progress line replaces while it is shown.
    handler = logging.StreamHandler(_Stderr())
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(name)s: %(message)s", handlers=[handler]
    )
    logging.getLogger("apache_beam").setLevel(logging.WARNING)


def other_flags() -> dict[str, Parser]:
    """Return the flags beside a pipeline's own that are worth a place in its help."""
    headings: dict[str, Any] = {
        "Local runner (--runner=local, which needs --state_dir)": LocalOptions,
        "Progress": ProgressOptions,
    }
    parsers = {heading: Parser() for heading in headings}
    for heading, options_class in headings.items():
        options_class._add_argparse_args(parsers[heading])
    return parsers


class StepError(errors.PermanentError):
    """A step raised something that is none of our errors, with its traceback in text."""

    def __init__(self, text: str, traceback: str) -> None:
        super().__init__(text)
        self.traceback = traceback


class _Stderr(io.TextIOBase):
    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


def status(module: ModuleType, argv: Sequence[str]) -> int:
    """Run a pipeline module with a command line; return the exit code."""
    if {"--help", "-h"} & set(argv):
        print(help_text(module.Params, module.__name__, module.__doc__ or "", other_flags()))
        return 0
    return reported(lambda: _launch(module, argv))


def reported(run: Callable[[], int | None]) -> int:
    """Run something; say on stderr what went wrong; return the exit code, 0 for None."""
    try:
        return run() or 0
    except errors.ConfigError as error:
        return _complain(error, 2)
    except errors.HeadraceError as error:
        if isinstance(error, StepError):
            _log.error("%s", error.traceback.rstrip())
        return _complain(error, 1)
    except Interrupted as stop:
        return _complain(f"stopped by {stop.name}; nothing was acknowledged", stop.status)


def _complain(problem: object, code: int) -> int:
    print(f"error: {problem}", file=sys.stderr)
    return code


def _launch(module: ModuleType, argv: Sequence[str]) -> None:
    params, rest = parse_flags(module.Params, argv, beam_parser())
    options = PipelineOptions(rest)

    def build(pipeline: beam.Pipeline) -> None:
        module.build(pipeline, params)

    with naming_flags(params):
        runner = options.view_as(StandardOptions).runner
        limits = Limits(getattr(params, "max_messages", None), getattr(params, "max_seconds", None))
        dry = getattr(params, "dry_run", False)
        if dry and not direct.is_bounded(runner):
            raise errors.ConfigError(
                "--dry_run", None,
                f"needs a run that ends, to take back what it has read: --runner={runner} has none",
                "Leave --runner out",
            )  # fmt: skip
        _ = options.view_as(ProgressOptions).log_every_s  # a ConfigError if it is none
        if direct.is_bounded(runner) or is_local(runner):
            require_services(params)
        ours = params if isinstance(params, Group) else Group()
        figures = ours.figures()
        if direct.is_bounded(runner):
            commit = run_bounded(build, rest, limits, dry=dry, figures=figures, accept=ours.accept)
            if commit is not None:
                tell_unmatched(params, commit.counts)
        elif is_local(runner):
            name = module.__name__.rpartition(".")[2]
            parameters = remembered(params, argv)
            _run_locally(build, options, name, limits, parameters=parameters, figures=figures)
        else:
            run_elsewhere(build, options)


def beam_parser() -> Parser:
    """Return a parser that knows every option of Beam."""
    parser = Parser()
    classes = [PipelineOptions]
    for options_class in classes:
        classes.extend(options_class.__subclasses__())
        options_class._add_argparse_args(parser)
    return parser


def run_bounded(
    build: Build,
    beam_argv: Sequence[str] = (),
    limits: Limits | None = None,
    *,
    dry: bool = False,
    figures: Figures = WRITING,
    accept: Callable[[Mapping[str, int]], None] = lambda _totals: None,
) -> Commit | None:
    """Run a graph on this machine until its sources are drained, and commit it as a whole.

    Args:
        build: adds the steps to the pipeline that it is given.
        beam_argv: options for Beam.
        limits: where reading stops although the backlog may hold more.
        dry: take everything back in the end: messages come again, and there is no commit.
        figures: what the progress line tells.
        accept: is given the numbers of the metrics, and raises if the run must not commit.

    Guarantees:
        Nothing is visible and nothing is acknowledged unless the whole graph has succeeded.
        Killed at any moment and started again, it has lost nothing and repeats nothing.

    Raises:
        HeadraceError: what a step raised, or a PermanentError with the step's traceback.
    """
    log_every_s = PipelineOptions(list(beam_argv)).view_as(ProgressOptions).log_every_s
    showing = Progress(log_every_s=log_every_s, figures=figures)
    with showing as progress, Run(limits or Limits()) as run:
        with interruptible():
            options = PipelineOptions([*beam_argv, *run.options()])
            pipeline = beam.Pipeline(runner=direct.bounded_runner(), options=options)
            build(pipeline)
            _execute(pipeline)
        if dry:
            return None
        accept(progress.totals)
        with uninterrupted():
            return run.commit(dict(progress.totals))


def _execute(pipeline: beam.Pipeline) -> None:
    # Beam logs whatever a step raises, several times over; the user gets it once, from us.
    beam_log = logging.getLogger("apache_beam")
    level = beam_log.level
    beam_log.setLevel(logging.CRITICAL)
    try:
        with _explained():
            pipeline.run().wait_until_finish()
    finally:
        beam_log.setLevel(level)


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    """Make whatever leaves the block an error of ours."""
    try:
        yield
    except errors.HeadraceError as error:
        raise _without_step(error) from error
    except LocalRunnerError as error:
        raise _of_runner(error) from error
    except Exception as error:
        failure = explain(error)
        raise StepError(str(failure), failure.traceback) from error


def _of_runner(error: LocalRunnerError) -> errors.HeadraceError:
    if isinstance(error, OptionError):
        return errors.ConfigError(error.name, error.value, error.rule, error.fix)
    # A full disk and a damaged file are no matter of the command line.
    if isinstance(error, StoreError) and not isinstance(error, StoreCorrupt | StoreFull):
        return errors.ConfigError("--state_dir", error.path, error.rule, error.fix)
    return errors.PermanentError(str(error))


def _without_step(error: errors.HeadraceError) -> errors.HeadraceError:
    """Undo what Beam does to an error: it appends the step to the first argument."""
    first, *others = error.args
    return type(error)(re.sub(r" \[while running '.*?'\]$", "", str(first)), *others)


def _run_locally(
    build: Build, options: PipelineOptions, name: str, limits: Limits, **more: Any
) -> None:
    if limits.max_messages is not None:
        raise errors.ConfigError(
            "--max_messages", limits.max_messages,
            "ends a run that commits as a whole, which one on the local runner does not",
            "Leave it out, or give --max_seconds: the job then stops as --on_stop says",
        )  # fmt: skip
    with _explained():
        run_endless(build, options, name, limits.max_seconds, **more)
