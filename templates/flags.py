"""The flags of ``python -m templates`` and their help."""

from __future__ import annotations

import argparse
from pathlib import Path

from templates.files.render import FORMS
from templates.google import command as google
from templates.image.flags import add_build_flags, add_spec_flags
from templates.launch.flags import add_launch_flags
from templates.rehearsal import classic_build, simulation

__all__ = ["parser"]

_PARAMETERS = """
A parameter file is YAML or JSON: names of parameters, with - or _, and values. Lists and booleans
are written as such. A later file counts above an earlier one, and null removes. ${env:NAME} is
replaced by an environment variable, ${secret:projects/P/secrets/S} by a secret when the job is run.
"""
_ABOUT = "Pipelines as templates, with files of parameters that are checked before anything starts."


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    found = argparse.ArgumentParser(
        prog="python -m templates", description=_ABOUT, epilog=_PARAMETERS, allow_abbrev=False
    )
    commands = found.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("list", help="the templates that there are")
    _add_describe(commands)
    _with_params(commands, "validate", "judge parameter files, without starting anything")
    _add_diff(commands)
    _add_render(commands)
    _add_run(commands)
    _add_build(commands)
    _add_launch(commands)
    _add_import(commands)
    _add_generate(commands)
    simulation.add_flags(
        _with_params(commands, "simulate", "rehearse a launch on Dataflow, and judge its job graph")
    )
    classic_build.add_flags(
        _with_params(commands, "build-classic", "a classic template, with all parameters fixed")
    )
    return found


def _add_describe(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    describe = _named(commands, "describe", "what a template does, and its parameters")
    describe.add_argument("--json", action="store_true", help="as Dataflow's metadata")


def _add_diff(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    diff = commands.add_parser("diff", help="what differs between two parameter files")
    diff.add_argument("old", type=Path)
    diff.add_argument("new", type=Path)


def _add_render(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    render = _with_params(commands, "render", "parameters in the form that a launch takes")
    render.add_argument(
        "--as", dest="form", choices=FORMS, required=True,
        help="body of flexTemplates.launch, file for gcloud's --flags-file, or a command line",
    )  # fmt: skip
    render.add_argument("--spec", metavar="gs://...", help="the template that is launched")
    render.add_argument("--job_name", help="by default the template's name")
    render.add_argument("--region", help="that a flags file names")


def _add_run(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    run = _with_params(
        commands, "run",
        "run the pipeline on this machine; flags that follow count above the files: --window=5m, "
        "--on_stop=drain",
    )  # fmt: skip
    run.add_argument(
        "--runner", choices=["local", "direct"],
        help="local goes on until it is stopped, with durable state; direct takes what there is and"
        " ends (local for what streams, direct for what ends)",
    )  # fmt: skip
    run.add_argument(
        "--job_dir", type=Path, metavar="FOLDER",
        help="state of the job and data of the broker (headrace-run/NAME)",
    )  # fmt: skip
    run.add_argument(
        "--broker", choices=["embedded"],
        help="start a Pub/Sub broker for the job, with the topics and subscriptions that the"
        " parameters name; else the one of PUBSUB_EMULATOR_HOST, or Google's",
    )  # fmt: skip
    run.add_argument("--port", type=int, default=0, help="of the broker; 0 takes a free one (0)")
    run.add_argument(
        "--messages", type=Path, metavar="FILE",
        help="publish each line to the input's topic first; by default the file FILE.messages.jsonl"
        " beside the parameter file, if there is one and the job is new",
    )  # fmt: skip


def _add_build(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    about = "make the image that a template is launched from, and the template's spec"
    add_build_flags(commands.add_parser("build", help=about, description=about, allow_abbrev=False))
    add_spec_flags(_named(commands, "spec", "the spec of a template whose image is built already"))


def _add_launch(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    launch = _named(commands, "launch", "launch a template that was built, as a job on Dataflow")
    add_launch_flags(launch)
    launch.epilog = _PARAMETERS


def _add_import(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    about = "a job of Google's own template, as a file of parameters for ours"
    google.add_flags(
        commands.add_parser("import-google", help=about, description=about, allow_abbrev=False)
    )


def _add_generate(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    generate = commands.add_parser("generate", help="write what is derived below templates/NAME")
    generate.add_argument("--check", action="store_true", help="only tell what is stale")


def _named(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, about: str
) -> argparse.ArgumentParser:
    found = commands.add_parser(name, help=about, description=about, allow_abbrev=False)
    found.add_argument("name", metavar="NAME", help="of a template, with - or _")
    return found


def _with_params(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, about: str
) -> argparse.ArgumentParser:
    found = _named(commands, name, about)
    found.add_argument(
        "--params", type=Path, action="append", required=True, metavar="FILE",
        help="parameters in YAML or JSON; may be repeated, the later counts above the earlier",
    )  # fmt: skip
    found.epilog = _PARAMETERS
    return found
