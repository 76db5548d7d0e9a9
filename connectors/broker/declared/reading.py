"""What a file declares, as messages of the API."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

from connectors.broker import schema
from connectors.broker.declared.marked import Marked, read_marked
from connectors.broker.errors import BadFile, InvalidArgument
from connectors.broker.http.json_form import from_json
from connectors.broker.names import check_resource

__all__ = ["Declaration", "declared_in"]

_KINDS = {"schemas": "Schema", "topics": "Topic", "subscriptions": "Subscription"}


class Declaration(NamedTuple):
    """A resource as a file declares it."""

    kind: str
    """``schemas``, ``topics`` or ``subscriptions``."""
    resource: Any
    """The message of the API."""
    lines: dict[str, int]
    """The line of each field that is given, by its name in snake_case."""
    path: Path
    line: int

    @property
    def name(self) -> str:
        """The full name of the resource."""
        return str(self.resource.name)

    def refused(self, text: str, field: str = "") -> BadFile:
        """Return the error for a field: at its line, or that of a field that the text names."""
        named = (name for name in self.lines if re.search(rf"\b{name}\b", text))
        fields = [field.partition(".")[0], *named, "name"]
        line = next((self.lines[name] for name in fields if name in self.lines), self.line)
        return BadFile(self.path, line, f"{self.name}: {text}")


def declared_in(path: Path) -> list[Declaration]:
    """Return what a file declares, in the order in which it can be made.

    Raises:
        BadFile: it breaks a rule.
        OSError: it can't be read.
    """
    top = read_marked(path)
    sections = {} if top.value is None else top.value
    if not isinstance(sections, dict):
        raise BadFile(path, top.line, f"must be an object with {', '.join(_KINDS)}")
    for name, section in sections.items():
        if name not in _KINDS:
            raise BadFile(path, section.line, f"{name} is not one of {', '.join(_KINDS)}")
        if section.value is not None and not isinstance(section.value, list):
            raise BadFile(path, section.line, f"{name} must be a list")
    found = [
        _declaration(path, kind, entry)
        for kind in _KINDS
        if kind in sections
        for entry in sections[kind].value or ()
    ]
    _check_distinct(found)
    return found


def _declaration(path: Path, kind: str, entry: Marked) -> Declaration:
    if not isinstance(entry.value, dict):
        raise BadFile(path, entry.line, f"each of {kind} must be an object")
    message = schema.message(_KINDS[kind])
    lines: dict[str, int] = {}
    resource = message()
    for name, given in entry.value.items():
        try:  # one field at a time, so that the line is known
            resource.MergeFrom(from_json(message, {name: given.plain()}))
        except InvalidArgument as error:
            raise BadFile(path, given.line, str(error)) from None
        fields = message.DESCRIPTOR
        field = fields.fields_by_camelcase_name.get(name) or fields.fields_by_name[name]
        if field.name in lines:
            raise BadFile(path, given.line, f"{name} is given twice")
        lines[field.name] = given.line
    try:
        check_resource("name", resource.name, kind)
    except InvalidArgument as error:
        raise BadFile(path, lines.get("name", entry.line), str(error)) from None
    return Declaration(kind, resource, lines, path, entry.line)


def _check_distinct(declarations: list[Declaration]) -> None:
    first: dict[str, Declaration] = {}
    for each in declarations:
        earlier = first.setdefault(each.name, each)
        if earlier is not each:
            raise each.refused(f"is declared twice; first in line {earlier.line}", "name")
