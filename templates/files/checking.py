"""Parameter files judged before anything starts: every mistake, with its file and line."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from pipelines.params import ConfigError, Spec, parsed, rules, validated
from pipelines.rules import OnlyWith
from templates.catalogue import Template
from templates.files.cloud_values import is_object, lacks_credentials, refuse_local
from templates.files.parameter_file import Given, overlaid, typed_text
from templates.files.references import Resolved, Secrets, resolved
from templates.google.equivalents import is_of_google

__all__ = ["HERE", "Checked", "Place", "check"]


@dataclass(frozen=True)
class Checked:
    """What is known about the parameters of a job.

    Attributes:
        texts: of each parameter that is given, by name, as a flag would have it.
        problems: all that is wrong; without any the job can be started.
        waiting: names of parameters whose secrets were not read, so that nobody knows.
        unread: names of parameters whose objects on Cloud Storage were not read: the same.
        places: file and line of each parameter that is given.
    """

    texts: dict[str, str]
    problems: tuple[ConfigError, ...] = ()
    waiting: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    places: Mapping[str, str] = field(default_factory=dict)

    def named(self, name: str) -> str:
        """Return a parameter as errors name it: with its file and line, if it is given."""
        return f"{self.places[name]}: {name}" if name in self.places else name

    def without_secrets(self, rule: str, fix: str) -> Checked:
        """Return the same, where a secret is a problem: one for each, unless there are others."""
        if self.problems:
            return self
        problems = (ConfigError(self.named(name), None, rule, fix) for name in self.waiting)
        return replace(self, problems=tuple(problems))


@dataclass(frozen=True)
class Place:
    """Where a job will run, and so what its parameters may name.

    Attributes:
        in_cloud: on Dataflow, whose workers have nothing of this machine.
        read_objects: whether what lies on Cloud Storage is read and judged, as a schema is.
        signed_in: whether it is a problem that there are no credentials to read it with.
    """

    in_cloud: bool = False
    read_objects: bool = True
    signed_in: bool = True


HERE = Place()


def check(
    template: Template,
    paths: Sequence[Path],
    secrets: Secrets | None = None,
    environment: Mapping[str, str] = os.environ,
    place: Place = HERE,
) -> Checked:
    """Judge the parameters of a template that files give, the later above the earlier.

    Args:
        template: one of the catalogue.
        paths: of the files.
        secrets: reads them; None leaves them, and the rules that need their values, unchecked.
        environment: the variables that files refer to.
        place: of the job.
    """
    try:
        given = overlaid(paths)
    except ConfigError as error:
        return Checked({}, (error,))
    return _Check(template, given, paths, place).run(secrets, environment)


class _Check:
    def __init__(
        self, template: Template, given: Mapping[str, Given], paths: Sequence[Path], place: Place
    ) -> None:
        self._place = place
        self._unread: list[str] = []
        self._params = template.params
        self._name = template.name
        self._specs = {spec.name: spec for spec in template.parameters}
        self._given = given
        self._paths = list(paths)
        self._file = str(paths[-1]) if paths else "--params"
        self._resolved: dict[str, Resolved] = {}

    def run(self, secrets: Secrets | None, environment: Mapping[str, str]) -> Checked:
        told = {name: self._problem(name, secrets, environment) for name in self._given}
        bad = {name: problem for name, problem in told.items() if problem is not None}
        texts = {name: each.text for name, each in self._resolved.items()}
        waiting = tuple(name for name, each in self._resolved.items() if not each.is_complete)
        missing = list(self._missing())
        broken = list(self._broken(bad))
        problems: list[tuple[Given | None, ConfigError]]
        problems = [(self._given[name], problem) for name, problem in bad.items()]
        problems += [(None, problem) for problem in missing]
        problems += [(self._where(error), self._placed(error)) for error in broken]
        ordered = [problem for _, problem in sorted(problems, key=self._position)]
        if not (bad or missing or waiting or self._unread):
            ordered += self._together(texts, broken)
        places = {name: given.place for name, given in self._given.items()}
        return Checked(texts, tuple(ordered), waiting, tuple(self._unread), places)

    def _position(self, found: tuple[Given | None, ConfigError]) -> tuple[int, int]:
        """Return what sorts problems by files and lines; the last are those that have no line."""
        given = found[0]
        return (self._paths.index(given.path), given.line) if given else (len(self._paths), 0)

    def _problem(
        self, name: str, secrets: Secrets | None, environment: Mapping[str, str]
    ) -> ConfigError | None:
        try:
            given = self._given[name]
            self._one(self._known(name, given), given, secrets, environment)
        except ConfigError as error:
            return error
        return None

    def _known(self, name: str, given: Given) -> Spec:
        if name not in self._specs:
            close = difflib.get_close_matches(name, self._specs, n=1)
            see = f"See: python -m templates describe {self._name}"
            fix = f"Did you mean {close[0]}?" if close else see
            if is_of_google(name):
                fix = "It is of a template of Google's: python -m templates import-google FILE"
            place = f"{given.place}: {name}"
            raise ConfigError(place, None, f"is no parameter of {self._name}", fix)
        return self._specs[name]

    def _one(
        self, spec: Spec, given: Given, secrets: Secrets | None, environment: Mapping[str, str]
    ) -> None:
        written = typed_text(spec, given)
        try:
            found = resolved(written, secrets, environment)
        except ConfigError as error:
            raise ConfigError(
                f"{given.place}: {spec.name}", written, _within(error, written), error.fix
            ) from error
        self._resolved[spec.name] = found
        if found.is_complete:
            try:
                self._judge(spec, found.text)
            except ConfigError as error:
                raise self._placed(error) from None

    def _judge(self, spec: Spec, text: str) -> None:
        if self._place.in_cloud:
            refuse_local(spec, text)
        if is_object(spec, text) and not self._place.read_objects:
            self._unread.append(spec.name)
            return
        try:
            parsed(spec, text)
        except ConfigError as error:
            if self._place.signed_in or not lacks_credentials(error):
                raise
            self._unread.append(spec.name)

    def _missing(self) -> Iterator[ConfigError]:
        for spec in self._specs.values():
            if spec.required and spec.name not in self._given:
                example = f" for example {spec.name}: {spec.examples[0]}" if spec.example else " it"
                place = f"{self._file}: {spec.name}"
                yield ConfigError(place, None, "is required", f"Write{example}")

    def _together(
        self, texts: Mapping[str, str], broken: Sequence[ConfigError]
    ) -> Iterator[ConfigError]:
        """Judge the values together, as if what breaks a rule were left out already."""
        rest = dict(texts)
        while broken:
            names = {name for error in broken if (name := error.name.removeprefix("--")) in rest}
            if not names:
                return  # more, or none, of a choice: nobody knows which
            rest = {name: text for name, text in rest.items() if name not in names}
            broken = [error for rule in rules(self._params) for error in rule.broken(rest)]
        try:
            validated(self._params, rest)
        except ConfigError as error:
            yield self._placed(error)

    def _broken(self, bad: Container[str]) -> Iterator[ConfigError]:
        """Judge what can be told of the parameters together without their values.

        Args:
            bad: names of parameters of which something is told anyway.
        """
        texts = {
            name: self._resolved[name].text if name in self._resolved else str(given.value)
            for name, given in self._given.items()
        }
        for rule in rules(self._params):
            if isinstance(rule, OnlyWith) and rule.parent in bad:
                continue
            for error in rule.broken(texts):
                if error.name.removeprefix("--") not in bad:
                    yield error

    def _where(self, error: ConfigError) -> Given | None:
        """Return the last line of those that an error about flags is about."""
        return max(map(self._given.__getitem__, self._names(error)), key=_line, default=None)

    def _names(self, error: ConfigError) -> list[str]:
        return [name for name in re.findall(r"--(\w+)", error.name) if name in self._given]

    def _placed(self, error: ConfigError) -> ConfigError:
        """Return an error about flags as one about lines, which shows no secret."""
        place = self._where(error)
        secret = [
            name for name in self._names(error)
            if name in self._resolved and self._resolved[name].has_secret
        ]  # fmt: skip
        where = place.place if place else self._file
        return ConfigError(
            f"{where}: {self._in_file(error.name)}",
            self._given[secret[-1]].value if secret else error.value,
            self._in_file(self._covered(error.rule)), self._in_file(self._covered(error.fix)),
        )  # fmt: skip

    def _covered(self, text: str) -> str:
        """Return a text without secrets, also of parameters that the error does not name."""
        for each in self._resolved.values():
            if each.has_secret and each.text:
                text = text.replace(each.text, "the secret")
        return text

    def _in_file(self, text: str) -> str:
        """Return a text about flags with the names that they have in a file."""
        return re.sub(r"--(\w+)", lambda flag: flag[1] if flag[1] in self._specs else flag[0], text)


def _line(given: Given) -> tuple[str, int]:
    return str(given.path), given.line


def _within(error: ConfigError, written: str) -> str:
    return error.rule if error.value == written else f"{error.value} {error.rule}"
