"""Parameter files judged before anything starts: every mistake, with its file and line."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.params import ConfigError, Spec, parsed, rules, validated
from templates.catalogue import Template
from templates.files.cloud_values import is_object, refuse_local
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


@dataclass(frozen=True)
class Place:
    """Where a job will run, and so what its parameters may name.

    Attributes:
        in_cloud: on Dataflow, whose workers have nothing of this machine.
        read_objects: whether what lies on Cloud Storage is read and judged, as a schema is.
    """

    in_cloud: bool = False
    read_objects: bool = True


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
        self._file = str(paths[-1]) if paths else "--params"
        self._resolved: dict[str, Resolved] = {}

    def run(self, secrets: Secrets | None, environment: Mapping[str, str]) -> Checked:
        each = (self._problem(name, secrets, environment) for name in self._given)
        problems = [problem for problem in each if problem is not None]
        texts = {name: each.text for name, each in self._resolved.items()}
        waiting = tuple(name for name, each in self._resolved.items() if not each.is_complete)
        problems += self._missing()
        whole = not (problems or waiting or self._unread)
        problems += self._together(texts) if whole else self._rules()
        places = {name: given.place for name, given in self._given.items()}
        return Checked(texts, tuple(problems), waiting, tuple(self._unread), places)

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
        else:
            parsed(spec, text)

    def _missing(self) -> Iterator[ConfigError]:
        for spec in self._specs.values():
            if spec.required and spec.name not in self._given:
                example = f" for example {spec.name}: {spec.examples[0]}" if spec.example else " it"
                place = f"{self._file}: {spec.name}"
                yield ConfigError(place, None, "is required", f"Write{example}")

    def _together(self, texts: Mapping[str, str]) -> Iterator[ConfigError]:
        try:
            validated(self._params, texts)
        except ConfigError as error:
            yield self._placed(error)

    def _rules(self) -> Iterator[ConfigError]:
        """Judge what can be told of the parameters together without their values."""
        texts = {
            name: self._resolved[name].text if name in self._resolved else str(given.value)
            for name, given in self._given.items()
        }
        for rule in rules(self._params):
            try:
                rule.check(texts)
            except ConfigError as error:  # noqa: PERF203 - a handful
                yield self._placed(error)

    def _placed(self, error: ConfigError) -> ConfigError:
        """Return an error about flags as one about lines, which shows no secret."""
        names = [name for name in re.findall(r"--(\w+)", error.name) if name in self._given]
        place = max((self._given[name] for name in names), key=_position, default=None)
        secret = [
            name for name in names
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


def _position(given: Given) -> tuple[str, int]:
    return str(given.path), given.line


def _within(error: ConfigError, written: str) -> str:
    return error.rule if error.value == written else f"{error.value} {error.rule}"
