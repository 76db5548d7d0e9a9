"""Parameters of a pipeline: one dataclass gives the flags, the help and the validation.

A pipeline declares its parameters once::

    @dataclass(frozen=True, kw_only=True)
    class Params(Source):
        window: Window = param(window_kind, "...", default="fixed:1m")

What several pipelines take is declared once, as a ``Group``. Each field has a ``Kind``, which
reads the text of the flag and states its rule. Defaults are texts too and pass through the same
rule, so that a bad default can't hide.
"""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import inspect
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NoReturn, TypeVar

from pipelines.changes import COLUMNS, Change, Remembered, kept
from pipelines.figures import WRITING, Figures
from pipelines.kind import Kind
from pipelines.rules import ExactlyOneOf, Rule
from transforms.errors import ConfigError

__all__ = [
    "ConfigError",
    "ExactlyOneOf",
    "Group",
    "Kind",
    "Parser",
    "Spec",
    "param",
    "parse_flags",
    "parsed",
    "remembered",
    "rules",
    "specs",
    "validated",
]

P = TypeVar("P")
_METADATA_KEY = "headrace.param"


@dataclass(frozen=True)
class Spec:
    """One parameter as declared: all that flags, help and metadata are derived from."""

    kind: Kind
    help: str
    example: str
    default: str | None
    required: bool
    group: str
    change: Change | None = None
    name: str = ""

    @property
    def flag(self) -> str:
        """The flag on the command line."""
        return f"--{self.name}"

    @property
    def examples(self) -> list[str]:
        """The values that the example shows, without the quotes that a shell needs."""
        shown = re.split(r", (?=gs:)| or ", self.example) if self.example else []
        return ["".join(shlex.split(each)) if each[:1] == "'" else each for each in shown]


class Group:
    """Parameters that several pipelines share: the base of a dataclass of ``param`` fields.

    A Params class inherits from the groups that it takes. The help lists them in the order of the
    bases, then what the class declares itself; a field that is declared once more keeps its place.
    The ``RULES`` of all of them hold, and ``check`` of each is called when all values are set.
    """

    RULES: ClassVar[tuple[Rule, ...]] = ()
    FILTERS: ClassVar[tuple[str, ...]] = ()
    """Names of the parameters that leave out a part of what is read; those of all groups count."""

    def figures(self) -> Figures:
        """Return what the progress line tells."""
        return WRITING

    def check(self) -> None:
        """Raise ConfigError if values contradict each other."""

    def accept(self, totals: Mapping[str, int]) -> None:
        """Raise PermanentError if a bounded run must not commit, given the numbers of its metrics.

        It is then taken back: nothing is visible, nothing is acknowledged.
        """

    def __post_init__(self) -> None:
        for owner in _lineage(type(self)):
            if "check" in vars(owner):
                vars(owner)["check"](self)


def _lineage(params_class: type) -> Iterator[type]:
    """Yield the bases from left to right, each before what inherits from it, and once."""
    found: dict[type, None] = {}
    for base in params_class.__bases__:
        found |= dict.fromkeys(_lineage(base))
    yield from found
    yield params_class


def param(
    kind: Kind,
    help: str,  # noqa: A002 - the word that argparse uses as well
    *,
    example: str = "",
    default: str | None = None,
    required: bool | None = None,
    group: str = "Pipeline",
    change: Change | None = None,
) -> Any:
    """Declare a parameter as the default of a dataclass field.

    Args:
        kind: reads and checks the text.
        help: one or two sentences for the user.
        example: a value that would be accepted.
        default: the text that counts when the flag is absent; None makes the value None.
        required: by default, a parameter without a default is required.
        group: heading under which the help lists it.
        change: what becomes of a job that goes on with another value, if its state depends on it.
    """
    needed = default is None if required is None else required
    spec = Spec(kind, help, example, default, needed, group, change)
    metadata = {_METADATA_KEY: spec}
    if needed:
        return dataclasses.field(metadata=metadata)
    value = None if default is None else kind.parse(default)
    return dataclasses.field(default=value, metadata=metadata)


def specs(params_class: type) -> list[Spec]:
    """Return the parameters of a Params class in the order of their declaration."""
    fields = {field.name: field for field in dataclasses.fields(params_class)}
    declared = (name for owner in _lineage(params_class) for name in inspect.get_annotations(owner))
    return [
        dataclasses.replace(fields[name].metadata[_METADATA_KEY], name=name)
        for name in dict.fromkeys(declared)
        if name in fields and _METADATA_KEY in fields[name].metadata
    ]


def rules(params_class: type) -> list[Rule]:
    """Return the rules of a Params class and of the groups that it takes."""
    return [rule for owner in _lineage(params_class) for rule in vars(owner).get("RULES", ())]


def validated(params_class: type[P], texts: Mapping[str, str]) -> P:
    """Return the parameters made from texts by name.

    Raises:
        ConfigError: a value breaks the rule of its kind, a required parameter is missing, or a
            rule of the class is broken.
    """
    declared = specs(params_class)
    values = {spec.name: parsed(spec, texts[spec.name]) for spec in declared if spec.name in texts}
    _refuse_several_missing(params_class, texts)
    for rule in rules(params_class):
        rule.check(texts)
    for spec in _missing(declared, texts):
        raise ConfigError(spec.flag, None, "is required", _fix(spec))
    try:
        return params_class(**values)
    except ConfigError as error:
        raise _as_typed(error, texts) from error


def _missing(declared: Sequence[Spec], texts: Mapping[str, str]) -> list[Spec]:
    return [spec for spec in declared if spec.required and spec.name not in texts]


def _refuse_several_missing(params_class: type, texts: Mapping[str, str]) -> None:
    """Name all that is missing at once: who is told of one after the other starts as often."""
    declared = specs(params_class)
    required = _missing(declared, texts)
    choices = [
        rule
        for rule in rules(params_class)
        if isinstance(rule, ExactlyOneOf) and not set(rule.names) & set(texts)
    ]
    if len(required) + len(choices) > 1:
        first = {spec.name: spec for spec in declared}
        examples = [_example(first[rule.names[0]]) for rule in choices]
        examples += [_example(spec) for spec in required]
        names = [*(rule.flags for rule in choices), *(spec.flag for spec in required)]
        raise ConfigError(
            ", ".join(names), None, "are required", "Give for example " + " ".join(examples)
        )


def _as_typed(error: ConfigError, texts: Mapping[str, str]) -> ConfigError:
    """Return the error of a rule between parameters with the whole text of its flag."""
    text = texts.get(error.name.removeprefix("--"))
    if text is None or error.value is None or str(error.value) == text:
        return error
    part = f"{error.value!r} " if str(error.value) in text else ""
    return ConfigError(error.name, text, part + error.rule, error.fix)


def parsed(spec: Spec, text: str) -> Any:
    """Return the value of a text, or raise a ConfigError that names the flag."""
    try:
        return spec.kind.parse(text)
    except ConfigError as error:
        rule = _place(error, text) + error.rule
        raise ConfigError(spec.flag, text, rule, _remedy(spec, error)) from error


def _remedy(spec: Spec, error: ConfigError) -> str:
    """Return the fix, with a number that makes sense: the parameter knows one, its kind none."""
    known = next(iter(spec.examples), spec.default)
    return f"Write for example {known}" if spec.kind.type == "integer" and known else error.fix


def _place(error: ConfigError, text: str) -> str:
    """Return where within the text of a flag the error is: the kind knows, and not which flag."""
    if error.value is None or error.value == text:
        return ""
    is_path = bool(re.search(r"[.\[]", error.name))  # within a file, such as schema[2].type
    return f"{error.name}={error.value!r} " if is_path else f"{error.value!r} "


def _fix(spec: Spec) -> str:
    return f"Give for example {spec.flag}={spec.example}" if spec.example else f"Give {spec.flag}"


def _example(spec: Spec) -> str:
    """Return a flag as it could be typed."""
    shown = [shlex.quote(each) for each in spec.examples]
    return f"{spec.flag}={shown[0]}" if shown else f"{spec.flag}=..."


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are ConfigErrors and that knows no abbreviations."""

    def __init__(self) -> None:
        super().__init__(add_help=False, allow_abbrev=False, conflict_handler="resolve")

    def error(self, message: str) -> NoReturn:
        """Refuse the command line."""
        raise ConfigError("command line", None, message, "See --help")


def parse_flags(
    params_class: type[P], argv: Sequence[str], other: Parser | None = None
) -> tuple[P, list[str]]:
    """Read the flags of a pipeline and leave the others.

    Args:
        params_class: the pipeline's Params.
        argv: the command line without the program's name.
        other: knows the flags that someone else will read, such as Beam's.

    Returns:
        The parameters, and the arguments that belong to other flags.

    Raises:
        ConfigError: as ``validated``, or an argument is unknown to everyone.
    """
    own = _parser(params_class)
    texts, rest = own.parse_known_args(list(argv))
    other = other or Parser()
    _, unknown = other.parse_known_args(rest)
    if unknown:
        raise _unknown(unknown[0], [*own._option_string_actions, *other._option_string_actions])
    return validated(params_class, vars(texts)), rest


def remembered(params: Any, argv: Sequence[str]) -> Remembered:
    """Return what a job's state depends on: on no columns, if it has no windows.

    Args:
        params: of the job.
        argv: the command line that they were read from.
    """
    texts = vars(_parser(type(params)).parse_known_args(list(argv))[0])
    shaping = {spec.name: spec for spec in specs(type(params)) if spec.change}
    if "window" not in shaping:
        shaping = {name: spec for name, spec in shaping.items() if spec.change is not COLUMNS}
    return Remembered(
        {name: spec.change for name, spec in shaping.items() if spec.change},
        {name: spec.kind for name, spec in shaping.items()},
        {
            name: kept(getattr(params, name), texts.get(name, spec.default))
            for name, spec in shaping.items()
        },
    )


def _parser(params_class: type) -> Parser:
    parser = Parser()
    for spec in specs(params_class):
        implied = spec.kind.implied
        alone: dict[str, Any] = {} if implied is None else {"nargs": "?", "const": implied}
        parser.add_argument(spec.flag, default=argparse.SUPPRESS, **alone)
    return parser


def _unknown(argument: str, flags: Sequence[str]) -> ConfigError:
    flag, _, value = argument.partition("=")
    if not flag.startswith("-"):
        return ConfigError(
            "command line", argument, "belongs to no flag", "Write --flag=value without blanks"
        )
    close = difflib.get_close_matches(flag, flags, n=1)
    fix = f"Did you mean {close[0]}?" if close else "See --help for the flags that exist"
    return ConfigError(flag, value or None, "is not a known flag", fix)
