"""The help of a pipeline, from its parameters."""

from __future__ import annotations

import argparse
import inspect
import textwrap
from collections.abc import Mapping

from pipelines.params import Spec, specs

__all__ = ["help_text"]


def help_text(
    params_class: type,
    program: str,
    about: str,
    others: Mapping[str, argparse.ArgumentParser] | None = None,
) -> str:
    """Return the help page: usage, then the parameters by group with rule and default.

    Args:
        params_class: the pipeline's Params.
        program: the module that is started.
        about: what it does.
        others: parsers of further flags that are worth a place, by heading.
    """
    groups: dict[str, list[Spec]] = {}
    for spec in specs(params_class):
        groups.setdefault(spec.group, []).append(spec)
    lines = [f"usage: python -m {program} [flags] [Beam options]", "", inspect.cleandoc(about)]
    for group, members in groups.items():
        lines += ["", f"{group}:"]
        for spec in members:
            lines += _help_entry(spec)
    for heading, parser in (others or {}).items():
        lines += ["", f"{heading}:"]
        for action in parser._actions:
            flag = " ".join([*action.option_strings, str(action.metavar or "")]).rstrip()
            lines += [f"  {flag}", *_wrapped(action.help or "")]
    return "\n".join(lines)


def _help_entry(spec: Spec) -> list[str]:
    notes = ["required" if spec.required else ""]
    notes.append(f"default: {spec.default}" if spec.default else "")
    notes.append(f"example: {spec.example}" if spec.example else "")
    note = "; ".join(filter(None, notes))
    text = f"{spec.help} ({note})" if note else spec.help
    return [f"  {spec.flag} {spec.kind.name}", *_wrapped(text)]


def _wrapped(text: str) -> list[str]:
    indent = " " * 6
    return textwrap.wrap(  # a name that is broken in two can't be copied
        text, 88, initial_indent=indent, subsequent_indent=indent,
        break_on_hyphens=False, break_long_words=False,
    )  # fmt: skip
