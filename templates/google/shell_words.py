"""Words of a shell, with their lines: what stands for a variable becomes a reference to it.

Quotes, backslashes, comments and assignments are read as a POSIX shell does. Anything that would
have to be run or computed, ``$(...)``, backquotes or ``${NAME:-...}``, is refused.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from pipelines.params import ConfigError
from templates.google.job import escaped

__all__ = ["Word", "commands"]

_TOKEN = re.compile(
    r"""
      (?P<continued> \\\n )
    | (?P<escaped>   \\(?P<letter>.) )
    | (?P<single>    '(?P<raw>[^']*)' )
    | (?P<double>    "(?P<inner>(?:[^"\\]|\\.)*)" )
    | (?P<variable>  \$(?:\{(?P<braced>\w+)\}|(?P<bare>[A-Za-z_]\w*)) )
    | (?P<run>       \$[({$@*\#?!0-9-]|` )
    | (?P<comment>   (?<![^\s;&|])\#[^\n]* )
    | (?P<end>       [\n;&|]+ )
    | (?P<blank>     [^\S\n]+ )
    | (?P<plain>     [^\\'"$`\s;&|]+|\$ )
    """,
    re.VERBOSE | re.DOTALL,
)
_INNER = re.compile(
    r"\\\n|\\([$`\"\\])|\$(?:\{(\w+)\}|([A-Za-z_]\w*))|(\$[({$@*#?!0-9-]|`)|([^\\$`]+|.)", re.DOTALL
)
_REFERENCE = re.compile("\0([A-Za-z_][A-Za-z0-9_]*)\0")
"""A variable of the environment, until the rest of its word is escaped: no word has a zero."""
_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)=(.*)", re.DOTALL)


class Word(NamedTuple):
    """A word of a command, and the line on which it begins."""

    text: str
    line: int


def commands(text: str, path: Path) -> list[list[Word]]:
    """Return the commands of a script; variables that it sets are put in.

    Args:
        text: of the script.
        path: of it, for the text of errors.

    Raises:
        ConfigError: a quote is not closed, or something would have to be run.
    """
    reader = _Reader(path)
    place = 0
    while place < len(text):
        match = _TOKEN.match(text, place)
        line = text.count("\n", 0, place) + 1
        if match is None:
            raise ConfigError(f"{path}:{line}", None, "has an open quote", "Close it")
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
        elif match["blank"] is not None or match["continued"] is not None:
            self._end_word()
        elif match["run"] is not None:
            raise self._refused(line)
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
        return match["letter"] or match.group()

    def _within(self, inner: str, line: int) -> str:
        def part(match: re.Match[str]) -> str:
            letter, braced, bare, run, plain = match.groups()
            if run:
                raise self._refused(line)
            if braced or bare:
                return self._variable(braced or bare)
            return letter or plain or ""

        return _INNER.sub(part, inner)

    def _variable(self, name: str) -> str:
        return self._variables.get(name, f"\0{name}\0")

    def _refused(self, line: int) -> ConfigError:
        return ConfigError(
            f"{self._path}:{line}", None, "has something that a shell would have to compute",
            "Write what comes out of it",
        )  # fmt: skip

    def _add(self, text: str, line: int) -> None:
        before = self._word or Word("", line)
        self._word = Word(before.text + text, before.line)

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
            self._commands.append([Word(_finished(word.text), word.line) for word in words])


def _finished(text: str) -> str:
    return _REFERENCE.sub(r"${env:\1}", escaped(text))
