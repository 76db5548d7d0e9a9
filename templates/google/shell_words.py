"""Words of a shell, with their lines: what stands for a variable becomes a reference to it.

Quotes, backslashes, comments and assignments are read as a POSIX shell does: lines that end in a
backslash are joined before words are told apart. Nothing is run: a word with ``$(...)``, backquotes
or ``${NAME:-...}`` is marked as computed.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from pipelines.params import ConfigError
from templates.google.job import escaped

__all__ = ["Word", "commands"]

_SIMPLE = r"""[^()'"\\] | '[^']*' | "(?:[^"\\]|\\.)*" | \\."""
_NESTED = rf"\((?:{_SIMPLE} | \((?:{_SIMPLE} | \((?:{_SIMPLE})*\))*\))*\)"
_COMPUTED = rf"\${_NESTED} | \$\{{[^{{}}]*\}} | \$[$@*\#?!0-9-] | `(?:[^`\\]|\\.)*`"
"""What a shell would compute, with brackets in brackets as people write them."""
_TOKEN = re.compile(
    rf"""
      (?P<comment>   (?<![^\s;&|])\#[^\n]* )
    | (?P<continued> [^\s\\'";&|]*\\\n )
    | (?P<escaped>   \\(?P<letter>.) )
    | (?P<single>    '(?P<raw>[^']*)' )
    | (?P<variable>  \$(?:\{{(?P<braced>[A-Za-z_]\w*)\}}|(?P<bare>[A-Za-z_]\w*)) )
    | (?P<computed>  {_COMPUTED} )
    | (?P<double>    "(?P<inner>(?:{_COMPUTED} | [^"\\] | \\.)*)" )
    | (?P<run>       \$[({{]|` )
    | (?P<end>       [\n;&|]+ )
    | (?P<blank>     [^\S\n]+ )
    | (?P<plain>     [^\\'"$`\s;&|]+|\$ )
    """,
    re.VERBOSE | re.DOTALL,
)
_INNER = re.compile(
    rf"""
      \\([$`"\\]) | \$(?:\{{([A-Za-z_]\w*)\}}|([A-Za-z_]\w*)) | ({_COMPUTED}) | (\$[({{]|`)
    | ([^\\$`]+|.)
    """,
    re.VERBOSE | re.DOTALL,
)
_CONTINUED = re.compile(r"(\\[^\n])|\\\n")
_MARK = "\1"
"""Stands for what was not computed: no word has a one."""
_REFERENCE = re.compile("\0([A-Za-z_][A-Za-z0-9_]*)\0")
"""A variable of the environment, until the rest of its word is escaped: no word has a zero."""
_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)


class Word(NamedTuple):
    """A word of a command.

    Attributes:
        text: of it.
        line: on which it begins.
        computed: the line on which it has what a shell would have to compute, None for nowhere.
    """

    text: str
    line: int
    computed: int | None = None


def commands(text: str, path: Path) -> list[list[Word]]:
    """Return the commands of a script; variables that it sets are put in.

    Args:
        text: of the script.
        path: of it, for the text of errors.

    Raises:
        ConfigError: a quote or a bracket is not closed.
    """
    reader = _Reader(path)
    whole, places = text, list(range(len(text)))
    place = 0
    while place < len(text):
        match = _TOKEN.match(text, place)
        line = whole.count("\n", 0, places[place]) + 1
        if match is None:
            raise ConfigError(f"{path}:{line}", None, "has an open quote", "Close it")
        if match["continued"] is not None:
            end = match.end()
            text = text[: end - 2] + text[end:]
            del places[end - 2 : end]
            continue
        reader.take(match, line)
        place = match.end()
    return reader.done()


class _Reader:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._variables: dict[str, str] = {}
        self._commands: list[list[Word]] = []
        self._words: list[Word] = []
        self._word: Word | None = None

    def take(self, match: re.Match[str], line: int) -> None:
        """Take the next token."""
        if match["end"] is not None:
            self._end_command()
        elif match["blank"] is not None:
            self._end_word()
        elif match["run"] is not None:
            raise self._open(line)
        elif match["comment"] is None:
            self._add(self._text(match, line), line)

    def done(self) -> list[list[Word]]:
        """Return what was read."""
        self._end_command()
        return self._commands

    def _text(self, match: re.Match[str], line: int) -> str:
        if match["single"] is not None:
            return match["raw"]
        if match["double"] is not None:
            return self._within(match["inner"], line)
        if match["variable"] is not None:
            return self._variable(match["braced"] or match["bare"])
        if match["computed"] is not None:
            return _MARK
        return match["letter"] or match.group()

    def _within(self, inner: str, line: int) -> str:
        def part(match: re.Match[str]) -> str:
            letter, braced, bare, computed, run, plain = match.groups()
            if run:
                raise self._open(line)
            if computed:
                return _MARK
            if braced or bare:
                return self._variable(braced or bare)
            return letter or plain or ""

        return _INNER.sub(part, _CONTINUED.sub(r"\1", inner))

    def _variable(self, name: str) -> str:
        return self._variables.get(name, f"\0{name}\0")

    def _open(self, line: int) -> ConfigError:
        return ConfigError(
            f"{self._path}:{line}", None, "has a bracket or a backquote that is not closed",
            "Close it, or write what comes out of it",
        )  # fmt: skip

    def _add(self, text: str, line: int) -> None:
        before = self._word or Word("", line)
        computed = line if before.computed is None and _MARK in text else before.computed
        self._word = Word(before.text + text, before.line, computed)

    def _end_word(self) -> None:
        if self._word is not None:
            self._words.append(self._word)
            self._word = None

    def _end_command(self) -> None:
        self._end_word()
        words, self._words = self._words, []
        if words and words[0].text == "export":
            words = words[1:]
        assigned = [_ASSIGNMENT.fullmatch(word.text) for word in words]
        if words and all(assigned):
            self._variables |= {each[1]: each[2] for each in assigned if each}
        elif words:
            self._commands.append([word._replace(text=_finished(word.text)) for word in words])


def _finished(text: str) -> str:
    return _REFERENCE.sub(r"${env:\1}", escaped(text))
