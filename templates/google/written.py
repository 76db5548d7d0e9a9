"""What was imported as a file of our parameters, with a comment for each that has changed."""

from __future__ import annotations

import os
import re
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipelines.params import Spec
from templates.derived.generate import FOLDER, SCHEMA_NAME
from templates.google.importing import Imported, Open, Written

__all__ = ["TODO", "file_text", "scalar"]

TODO = "# TODO "
"""Begins the line of a parameter that someone must fill in; without it the line counts."""

_PLAIN = re.compile(r"[A-Za-z0-9_./][\w./:@%=~+-]*", re.ASCII)
_OTHER_TYPES = re.compile(
    r"(null|true|false|~|[-+.]?[0-9][0-9_]*(\.[0-9_]*)?([eE][-+]?[0-9]+)?)", re.IGNORECASE
)
_WIDTH = 98


def file_text(found: Imported, source: str, folder: Path) -> str:
    """Return the text of the file.

    Args:
        found: what became of a job.
        source: where it was read.
        folder: in which the file will lie, for the path of its schema.
    """
    entries: dict[str, Written | Open] = {each.spec.name: each for each in found.written}
    entries |= {each.spec.name: each for each in found.open}
    names = [spec.name for spec in found.template.parameters if spec.name in entries]
    body = _body([entries[name] for name in names])
    return "\n".join([*_head(found, source, folder), *body, *_foot(found)]) + "\n"


def scalar(spec: Spec, text: str) -> str:
    """Return a text as YAML that is read again as the same; numbers and switches without quotes."""
    if spec.kind.type != "string" and "$" not in text:
        return text
    colon_is_plain = not re.search(r":( |$)", text)
    if _PLAIN.fullmatch(text) and colon_is_plain and not _OTHER_TYPES.fullmatch(text):
        return text
    return f'"{"".join(map(_escape, text))}"'


def _escape(letter: str) -> str:
    if letter in '"\\':
        return f"\\{letter}"
    return letter if letter.isprintable() else f"\\U{ord(letter):08x}"


def _head(found: Imported, source: str, folder: Path) -> Iterator[str]:
    schema = FOLDER / found.template.name / SCHEMA_NAME
    yield f"# yaml-language-server: $schema={os.path.relpath(schema, folder)}"
    yield "#"
    yield f"# Parameters of {found.template.name}, from {source}: a job of Google's template"
    yield from _comment(f"{found.equivalent.google}. {found.equivalent.differs}")


def _body(entries: Sequence[Written | Open]) -> Iterator[str]:
    group = ""
    for entry in entries:
        if entry.spec.group != group:
            group = entry.spec.group
            yield ""
        yield from _written(entry) if isinstance(entry, Written) else _open(entry)


def _written(entry: Written) -> Iterator[str]:
    is_as_it_was = entry.source == f"{entry.spec.name}={entry.text}" and not entry.about
    if not is_as_it_was:
        yield from _comment(": ".join(filter(None, (entry.source, entry.about))))
    yield f"{entry.spec.name}: {scalar(entry.spec, entry.text)}"


def _open(entry: Open) -> Iterator[str]:
    yield from _comment(entry.why)
    if entry.copied:
        yield f"# {_plain_line(entry.copied)}"
    start = "# " if entry.optional else TODO
    yield f"{start}{entry.spec.name}: {scalar(entry.spec, entry.example)}"


def _foot(found: Imported) -> Iterator[str]:
    if found.lost:
        yield from ("", "# Not carried over:")
        for error in found.lost:
            yield from _comment(f"- {error}")


def _plain_line(text: str) -> str:
    return "".join(each if each.isprintable() else _escape(each) for each in text)


def _comment(text: str) -> list[str]:
    """Return a text as lines of comment; nothing of it can become a line of its own."""
    shown = _plain_line(text)
    wrapped = textwrap.wrap(shown, _WIDTH, break_on_hyphens=False, break_long_words=False)
    return [f"# {line}" for line in wrapped]
