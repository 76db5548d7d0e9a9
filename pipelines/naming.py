"""An error of a connector in the words of a command line: flags in the place of arguments."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Sequence
from typing import Any

from pipelines.params import Spec, specs
from transforms.errors import ConfigError

__all__ = ["naming_flags"]


@contextlib.contextmanager
def naming_flags(params: Any) -> Iterator[None]:
    """Let an error about a parameter's value name the flag that gave it.

    Connectors know their arguments, and not which flag one comes from. A flag is found by the
    value, and else by the name; arguments that the error's text tells of, such as ``max_seconds=``,
    become flags too.
    """
    try:
        yield
    except ConfigError as error:
        named = _named(error, params)
        if named is error:
            raise
        raise named from error


def _named(error: ConfigError, params: Any) -> ConfigError:
    declared = specs(type(params))
    rule, fix = (_with_flags(text, declared) for text in (error.rule, error.fix))
    if error.name.startswith("--"):  # who raised it knew
        return error
    for spec in sorted(declared, key=lambda spec: spec.name != error.name):
        given = getattr(params, spec.name)
        if given is not None and error.value in (given, *_forms(str(given))):
            typed = given if isinstance(given, str) else error.value
            return ConfigError(spec.flag, typed, rule, fix)
    # A connector doesn't know of the runner's flag, nor in which file a schema is.
    if error.name == "runner" or error.name in {spec.name for spec in declared}:
        return ConfigError(f"--{error.name}", error.value, rule, fix)
    return ConfigError(error.name, error.value, rule, fix)


def _forms(text: str) -> tuple[str, str]:
    """Return a value as it was given, and as the folder that it may be."""
    return text, os.path.realpath(text)


def _with_flags(text: str, declared: Sequence[Spec]) -> str:
    """Return a text in which ``add_columns=true`` and ``max_seconds=`` are flags."""
    names = "|".join(spec.name for spec in declared)
    named = re.sub(rf"(?<![\w-])({names})=", r"--\1=", text)
    return re.sub(r"(--\w+)=(true\b)?(?=[\s,.)]|$)", r"\1", named)
