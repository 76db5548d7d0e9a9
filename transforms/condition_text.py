"""The words of a ``Condition``, with their places for errors."""

from __future__ import annotations

import re
from dataclasses import dataclass

from transforms.errors import ConfigError

__all__ = ["Token", "bad", "tokens"]

_TOKEN = re.compile(
    r"""\s*(?:
      (?P<number> -? [0-9]+ (?:\.[0-9]+)? (?:[eE][+-]?[0-9]+)? (?![\w.]) )
    | (?P<text>   "(?:[^"\\]|\\.)*" | '(?:[^'\\]|\\.)*' )
    | (?P<name>   (?:(?:column|attribute|message):)? (?: [A-Za-z_][\w.-]* | `[^`]+` ) )
    | (?P<sign>   <= | >= | != | [=<>(),] )
    | (?P<end>    $ )
    )""",
    re.VERBOSE | re.ASCII,
)
_LOGIC = ("AND", "OR", "NOT", "IN", "IS", "NULL", "TRUE", "FALSE")
_WORDS = frozenset((*_LOGIC, "STARTS_WITH", "ENDS_WITH", "CONTAINS", "MATCHES"))
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)


@dataclass(frozen=True)
class Token:
    """A word, sign, name or value.

    Attributes:
        kind: ``number``, ``text``, ``name``, ``word`` or ``end``.
        value: the number, the text without its quotes, or the name.
        word: a word in capitals, or a sign; empty for anything else.
        place: its first letter, from 0.
        length: its letters.
    """

    kind: str
    value: str | int | float
    word: str
    place: int
    length: int


def tokens(text: str) -> list[Token]:
    """Return the tokens of a condition; the last one is its end.

    Raises:
        ConfigError: something is no token, such as a quote that is not closed.
    """
    found: list[Token] = []
    place = 0
    while not found or found[-1].kind != "end":
        match = _TOKEN.match(text, place)
        if match is None:
            rest = text[place:]
            at = place + len(rest) - len(rest.lstrip())
            raise bad(text, Token("?", "", "", at, 1), "a field, a value or an operator")
        found.append(_token(match))
        place = match.end()
    return found


def bad(text: str, token: Token, wanted: str) -> ConfigError:
    """Return the error that something else was expected at a token."""
    given = text[token.place : token.place + token.length]
    there = f"{given!r} at letter {token.place + 1}" if given else "its end"
    return ConfigError(
        "condition", text, f"has {there} where {wanted} is expected",
        """Write for example attribute:kind = "click" AND n > 5""",
    )  # fmt: skip


def _token(match: re.Match[str]) -> Token:
    kind = str(match.lastgroup)
    raw, place = match[kind], match.start(kind)
    value: str | int | float = raw
    word = raw if kind == "sign" else ""
    if kind == "number":
        value = int(raw) if re.fullmatch("-?[0-9]+", raw) else float(raw)
    elif kind == "text":
        value = _ESCAPE.sub(r"\1", raw[1:-1])
    elif kind == "name" and raw.upper() in _WORDS:
        kind, word = "word", raw.upper()
    elif kind == "name":
        value = raw.replace("`", "")
    return Token("word" if kind == "sign" else kind, value, word, place, len(raw))
