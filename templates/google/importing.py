"""A job of Google's becomes parameters of ours: what is taken, left out, open, and lost. Pure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from pipelines.params import ConfigError, Spec, rules
from pipelines.rules import ExactlyOneOf
from templates.catalogue import Template
from templates.catalogue import find as find_ours
from templates.google.declared import Equivalent, Need, Refused, Taken, Unneeded, Values
from templates.google.equivalents import find, fitting, named_by
from templates.google.gcloud import set_environment
from templates.google.job import Given, Job, texts
from templates.google.options import OPTIONS

__all__ = ["Imported", "Left", "Open", "Written", "imported"]


_PLACEHOLDER = re.compile(r"<[A-Za-z][\w -]*>")


@dataclass(frozen=True)
class Written:
    """A parameter of ours with its text.

    Attributes:
        spec: ours.
        text: as a parameter file has it.
        source: Google's names with their values, empty for what Google's template does always.
        about: how it changed, or why it is there.
    """

    spec: Spec
    text: str
    source: str
    about: str


@dataclass(frozen=True)
class Open:
    """A parameter of ours that someone must fill in; one that is optional may stay out.

    Attributes:
        spec: ours.
        example: of its text.
        why: it is open, and what to do.
        optional: whether it may stay out.
        copied: what can be copied for it, empty for nothing.
    """

    spec: Spec
    example: str
    why: str
    optional: bool = False
    copied: str = ""


@dataclass(frozen=True)
class Left:
    """A parameter of Google's that ours does without."""

    place: str
    name: str
    why: str

    @property
    def line(self) -> int:
        """On which it stands."""
        return int(self.place.rpartition(":")[2])


@dataclass
class Imported:
    """What became of a job.

    Attributes:
        equivalent: of its template.
        template: ours.
        written: in the order of our parameters.
        open: the same.
        left: what ours does without.
        lost: what can't be carried over, each with its place.
    """

    equivalent: Equivalent
    template: Template
    written: list[Written] = field(default_factory=list)
    open: list[Open] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)
    lost: list[ConfigError] = field(default_factory=list)

    @property
    def missing(self) -> list[str]:
        """Names of parameters without which the job does not start."""
        return [each.spec.name for each in self.open if not each.optional]


def imported(job: Job, name: str | None = None) -> Imported:
    """Return what becomes of a job. Options of its workers go from parameters to environment.

    Args:
        job: as a file describes it.
        name: of Google's template, above what the file says.

    Raises:
        ConfigError: it is not known which template, or there is nothing of ours in its place.
    """
    equivalent = _equivalent(job, name)
    return _Import(job, equivalent).run()


def _equivalent(job: Job, name: str | None) -> Equivalent:
    if name is not None:
        return find(named_by(name))
    if job.template is None:
        raise ConfigError(
            str(job.path), None, "does not tell which template the parameters are of",
            f"Give --template: {' or '.join(fitting(job.parameters))}",
        )  # fmt: skip
    return find(named_by(str(job.template.value)), f"{job.template.place}: template")


def _empty(name: str, given: Given) -> ConfigError:
    return ConfigError(
        f"{given.place}: {name}", given.value, "is a place of Google's page that was not filled in",
        "Write its value, or leave it out",
    )  # fmt: skip


class _Import:
    def __init__(self, job: Job, equivalent: Equivalent) -> None:
        self._job = job
        self._found = Imported(equivalent, find_ours(equivalent.ours))
        self._specs = {spec.name: spec for spec in self._found.template.parameters}
        self._defaults = {each.name: each.default for each in equivalent.parameters()}
        self._entries: dict[str, Written | Open] = {}
        self._take_out()
        self._values = Values(
            {name: str(each.value) for name, each in job.parameters.items()},
            self._defaults,
            project=None if job.project is None else str(job.project.value),
            at_least_once=job.is_at_least_once,
        )

    def run(self) -> Imported:
        for rule in self._found.equivalent.rules:
            if isinstance(rule, Taken):
                self._take(rule)
            else:
                self._leave(rule)
        for need in self._found.equivalent.needs:
            self._need(need)
        for spec in self._required():
            if spec.name not in self._entries:
                self._entries[spec.name] = Open(spec, spec.examples[0], spec.help.rstrip("."))
        for name in self._specs:
            entry = self._entries.get(name)
            if isinstance(entry, Written):
                self._found.written.append(entry)
            elif entry is not None:
                self._found.open.append(entry)
        return self._found

    def _take_out(self) -> None:
        """Take out what is no parameter: Flex templates take options of the workers there too."""
        for name, given in list(self._job.parameters.items()):
            if _PLACEHOLDER.fullmatch(str(given.value)):
                self._found.lost.append(_empty(name, given))
                del self._job.parameters[name]
            elif name in self._defaults:
                continue
            elif name in OPTIONS:
                self._option(OPTIONS[name], given)
            else:
                self._found.lost.append(self._unknown(name, given))

    def _option(self, key: str, given: Given) -> None:
        """Set a field of the environment; what the environment says itself counts above."""
        if key == "additionalExperiments":
            set_environment(self._job, key, str(given.value).split(","), given.line)
        elif key not in self._job.environment:
            set_environment(self._job, key, given.value, given.line)

    def _unknown(self, name: str, given: Given) -> ConfigError:
        close = difflib.get_close_matches(name, self._defaults, n=1)
        fix = f"Did you mean {close[0]}?" if close else "Remove it, or give another --template"
        google = self._found.equivalent.google
        return ConfigError(
            f"{given.place}: {name}", given.value, f"is no parameter of {google}", fix
        )

    def _take(self, rule: Taken) -> None:
        names = [each.name for each in rule.google]
        try:
            made = rule.convert(self._values)
        except ConfigError as error:
            self._lose(error)
            return
        about = [rule.about, rule.caution]
        given = set(names) & set(texts(self._job.parameters))
        for name, text in made.items():
            changed = len(given) > 1 or text not in [self._values[each] for each in names]
            told = "; ".join(filter(None, about if changed else about[1:]))
            self._entries[name] = Written(self._specs[name], text, self._source(names), told)
            about = []
        if not made:
            plain = all(self._values[each] in ("", self._defaults[each]) for each in given)
            alone = "it counts with others alone, which are not given"
            self._note(names, "Google's default is also ours" if plain else alone)

    def _source(self, names: list[str]) -> str:
        """Return what a file said, or else what Google's defaults say."""
        given = [name for name in names if name in texts(self._job.parameters)]
        note = "" if given else " (Google's default)"
        told = (f"{name}={self._values[name]}" for name in given or names if self._values[name])
        return ", ".join(told) + note

    def _lose(self, error: ConfigError) -> None:
        given = self._job.parameters.get(error.name)
        place, text = (given.place, given.value) if given else (self._job.path, error.value)
        part = "" if error.value == text else f"{error.value!r} "
        rule = f"can't be carried over: {part}{error.rule}"
        self._found.lost.append(ConfigError(f"{place}: {error.name}", text, rule, error.fix))

    def _leave(self, rule: Unneeded | Refused) -> None:
        if isinstance(rule, Unneeded):
            try:
                rule.check(self._values)
            except ConfigError as error:
                self._lose(error)
                return
        for parameter in rule.google:
            text = self._values[parameter.name]
            fine = ("", parameter.default)
            if isinstance(rule, Unneeded):
                self._note([parameter.name], rule.why)
            elif text in fine or text.upper() in map(str.upper, rule.harmless):
                self._note([parameter.name], f"nothing is lost with {text or 'none'}: {rule.why}")
            else:
                self._lose(ConfigError(parameter.name, text, rule.why, rule.instead))

    def _note(self, names: list[str], why: str) -> None:
        given = texts(self._job.parameters)
        for name in names:
            if name in given:
                self._found.left.append(Left(self._job.parameters[name].place, name, why))

    def _need(self, need: Need) -> None:
        if need.name in self._entries:
            return
        written = (each for each in self._entries.values() if isinstance(each, Written))
        text = need.text({each.spec.name: each.text for each in written})
        why = need.why if isinstance(need.why, str) else need.why(self._values)
        spec = self._specs[need.name]
        if text is None:
            copied = need.copied(self._values)
            self._entries[need.name] = Open(spec, need.example, why, need.optional, copied)
        else:
            self._entries[need.name] = Written(spec, text, "", why)

    def _required(self) -> Iterator[Spec]:
        for rule in rules(self._found.template.params):
            if isinstance(rule, ExactlyOneOf) and not set(rule.names) & set(self._entries):
                yield self._specs[rule.names[0]]
        yield from (spec for spec in self._specs.values() if spec.required)
