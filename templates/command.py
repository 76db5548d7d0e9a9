"""The command ``python -m templates``: pipelines as templates, with files of parameters.

0    it went well; ``diff``: nothing differs
1    ``diff``: something differs; ``run``, ``launch``: the job failed, or a service did not answer;
     ``generate --check``: files are stale; ``simulate``, ``build-classic``:
     a check failed
2    a mistake in what was given; nothing was started
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from pipelines.help_page import help_text
from pipelines.launch import other_flags, reported
from templates.catalogue import TEMPLATES, find
from templates.derived import generate
from templates.derived.metadata import metadata
from templates.files.checking import HERE, Place, check
from templates.files.difference import difference
from templates.files.references import SecretManager
from templates.files.render import Launch, rendered
from templates.flags import parser
from templates.google.command import import_google
from templates.home.running import Run, sample_beside
from templates.image.flags import build, spec
from templates.launch.errors import FlagsRefusedError
from templates.launch.launching import launching
from templates.rehearsal.classic_build import build_classic
from templates.rehearsal.simulation import simulate

__all__ = ["main"]

BAD = 2


def main(argv: Sequence[str]) -> int:
    """Do what a command line says; return the exit code."""
    commands = parser()
    options, others = commands.parse_known_args(argv)
    if others and options.command != "run":
        commands.error(f"unknown: {' '.join(others)}")
    options.others = others
    return reported(lambda: _COMMANDS[options.command](options))


def _complain(*problems: object) -> int:
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    return BAD


def _list(_: argparse.Namespace) -> int:
    width = max(len(template.name) for template in TEMPLATES)
    for category in dict.fromkeys(template.category for template in TEMPLATES):
        print(f"{category}:")
        for template in TEMPLATES:
            if template.category == category:
                print(f"  {template.name:{width}}  {template.title}")
    return 0


def _describe(options: argparse.Namespace) -> int:
    template = find(options.name)
    if options.json:
        print(json.dumps(metadata(template), indent=2, ensure_ascii=False))
        return 0
    needs = "".join(f"\n  - {each}" for each in template.requirements)
    print(f"{template.title} ({template.public_name})\n\nRequirements:{needs}\n")
    print(help_text(template.params, template.module.__name__, template.about, other_flags()))
    return 0


def _validate(options: argparse.Namespace) -> int:
    template = find(options.name)
    checked = check(template, options.params, place=Place(signed_in=False))
    if checked.problems:
        return _complain(*checked.problems)
    files = ", ".join(map(str, options.params))
    print(f"{files}: good for {template.name}, with {len(checked.texts)} parameters")
    for name in checked.waiting:
        print(f"note: {name} has a secret, which is read and checked when the job is run")
    for name in checked.unread:
        print(f"note: {name} names an object that was not read: there are no credentials here")
    return 0


def _render(options: argparse.Namespace) -> int:
    template = find(options.name)
    # What is for Dataflow may name no place on this machine, and needs no credentials here.
    place = HERE if options.form == "argv" else Place(in_cloud=True, read_objects=False)
    checked = check(template, options.params, place=place).without_secrets(
        "has a secret, which is only read for a run here",
        "Give the parameter without it, or use: python -m templates run",
    )
    if checked.problems:
        return _complain(*checked.problems)
    launch = Launch(options.spec, options.job_name, options.region)
    print(rendered(options.form, template, checked.texts, launch), end="")
    return 0


def _diff(options: argparse.Namespace) -> int:
    lines = list(difference(options.old, options.new))
    print("".join(f"{line}\n" for line in lines), end="")
    return 1 if lines else 0


def _run(options: argparse.Namespace) -> int:
    template = find(options.name)
    checked = check(template, options.params, SecretManager())
    if checked.problems:
        return _complain(*checked.problems)
    run = Run(
        folder=options.job_dir or Path("headrace-run") / template.name,
        runner=options.runner or ("local" if template.streaming else "direct"),
        embedded=options.broker == "embedded",
        port=options.port,
        messages=options.messages,
        sample=None if options.messages else sample_beside(options.params),
        options=tuple(options.others),
    )
    return run.start(template, checked.texts)


def _launch(options: argparse.Namespace) -> int:
    try:
        found = launching(find(options.name), options)
    except FlagsRefusedError as refused:
        return _complain(*refused.broken)
    checked = found.checked()
    return _complain(*checked.problems) if checked.problems else found.start(checked)


def _generate(options: argparse.Namespace) -> int:
    if not options.check:
        print("".join(f"{path}\n" for path in generate.write()), end="")
        return 0
    stale = [path for path, _ in generate.stale()]
    for path in stale:
        print(f"stale: {path}; run python -m templates generate", file=sys.stderr)
    return 1 if stale else 0


_COMMANDS = {
    "list": _list,
    "describe": _describe,
    "validate": _validate,
    "diff": _diff,
    "render": _render,
    "run": _run,
    "build": build,
    "spec": spec,
    "launch": _launch,
    "import-google": import_google,
    "generate": _generate,
    "simulate": simulate,
    "build-classic": build_classic,
}
