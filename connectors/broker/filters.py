r"""Subscription filters: the language, and its evaluation over the attributes of many messages.

    filter  = unary, ( { "AND", unary } | { "OR", unary } ) ;
    unary   = [ "NOT" | "-" ], term ;
    term    = "(", filter, ")"
            | "attributes", ":", key
            | "attributes", ".", key, ( "=" | "!=" ), string
            | "hasPrefix", "(", "attributes", ".", key, ",", string, ")" ;
    key     = ( letter | digit | "_" | "-" ), { letter | digit | "_" | "-" } | string ;
    string  = '"', { character | escape }, '"' ;
    escape  = "\", ( '"' | "'" | "\" | "?" | "a" | "b" | "f" | "n" | "r" | "t" | "v"
            | octal, [ octal ], [ octal ] | "x", 2 * hex | "u", 4 * hex | "U", 8 * hex ) ;

Words are case-sensitive, space between tokens is free. AND and OR don't mix without parentheses.
``!=`` holds also where the attribute is absent. Of an attribute that a message has twice, the last
counts, as in any protocol buffer map. Source: https://cloud.google.com/pubsub/docs/filtering; that
numbers in escapes are code points, and not bytes, is not stated there.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from connectors.broker import limits, rows
from connectors.broker.errors import InvalidArgument

__all__ = ["Filter", "compile"]

Mask = npt.NDArray[np.bool_]

_SPACE = re.compile(r"[ \t\r\n]*")
_WORD = re.compile(r"[A-Za-z]+")
_KEY = re.compile(r"[A-Za-z0-9_-]+")
_PLAIN = re.compile(r'[^"\\\x00-\x1f\x7f]+')
_ESCAPE = re.compile(
    r"\\(?:(?P<char>[\"'\\?abfnrtv])|(?P<octal>[0-7]{1,3})"
    r"|x(?P<hex>[0-9A-Fa-f]{2})|u(?P<short>[0-9A-Fa-f]{4})|U(?P<long>[0-9A-Fa-f]{8}))"
)
_CONTROLS = dict(zip("abfnrtv", "\a\b\f\n\r\t\v", strict=True))
_SURROGATES = range(0xD800, 0xE000)  # halves of characters, which UTF-8 does not have


class Filter:
    """A filter that was understood.

    Args:
        text: as its owner wrote it.
        matching: tells which messages match.
    """

    def __init__(self, text: str, matching: Callable[[_Attributes], Mask]) -> None:
        self.text = text
        self._matching = matching

    def mask(self, attributes: pa.MapArray) -> Mask:
        """Return for each message whether it matches.

        Args:
            attributes: maps of strings to strings, one for each message, none of them null.
        """
        return self._matching(_Attributes(attributes))


def compile(text: str) -> Filter:  # noqa: A001 - used as filters.compile, like re.compile
    """Return the filter that a text describes. An empty text is no filter: don't compile it.

    Raises:
        InvalidArgument: it is too long, or does not follow the grammar; says where.
    """
    size_bytes = len(text.encode())
    if size_bytes > limits.FILTER_BYTES_MAX:
        raise InvalidArgument(
            "filter", f"{size_bytes} bytes", f"at most {limits.FILTER_BYTES_MAX} bytes"
        )
    return Filter(text, _Parser(text).whole().mask)


class _Attributes:
    """The attributes of messages as columns; keys are looked up in all messages at once."""

    def __init__(self, attributes: pa.MapArray) -> None:
        self.messages = len(attributes)
        offsets = rows.offsets(attributes)
        first, end = int(offsets[0]), int(offsets[-1])  # keys and items are of the whole column
        self._offsets = offsets - first
        self._keys, self._values = attributes.keys[first:end], attributes.items[first:end]

    def having(self, key: str, value: Callable[[pa.Array], pa.Array] | None = None) -> Mask:
        """Return which messages have a key, if given, with a value that passes."""
        entries = np.flatnonzero(rows.truths(pc.equal(self._keys, rows.text(key))))
        owners = np.searchsorted(self._offsets, entries, side="right") - 1
        passes = np.ones(entries.size, np.bool_)
        if value is not None:
            values = self._values.take(rows.numbers(entries, pa.int64()))
            passes = rows.truths(value(values))
        mask = np.zeros(self.messages, np.bool_)
        mask[owners] = passes  # of entries with one owner the last is assigned last
        return mask


class _Has(NamedTuple):
    key: str

    def mask(self, attributes: _Attributes) -> Mask:
        return attributes.having(self.key)


class _Equals(NamedTuple):
    key: str
    value: str

    def mask(self, attributes: _Attributes) -> Mask:
        return attributes.having(self.key, lambda values: pc.equal(values, rows.text(self.value)))


class _HasPrefix(NamedTuple):
    key: str
    prefix: str

    def mask(self, attributes: _Attributes) -> Mask:
        return attributes.having(self.key, lambda values: pc.starts_with(values, self.prefix))


class _Not(NamedTuple):
    operand: _Node

    def mask(self, attributes: _Attributes) -> Mask:
        return ~self.operand.mask(attributes)


class _And(NamedTuple):
    operands: list[_Node]

    def mask(self, attributes: _Attributes) -> Mask:
        return np.logical_and.reduce([each.mask(attributes) for each in self.operands])


class _Or(NamedTuple):
    operands: list[_Node]

    def mask(self, attributes: _Attributes) -> Mask:
        return np.logical_or.reduce([each.mask(attributes) for each in self.operands])


_Node = _Has | _Equals | _HasPrefix | _Not | _And | _Or


class _Parser:
    """Recursive descent over a text; the length limit bounds the depth."""

    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0
        self._skip_space()

    def whole(self) -> _Node:
        node = self._filter()
        if self._at < len(self._text):
            raise self._fault("AND, OR or the end was expected")
        return node

    def _filter(self) -> _Node:
        operands, joined_by = [self._unary()], ""
        while True:
            started_at = self._at
            word = self._match(_WORD)
            if word not in ("AND", "OR") or joined_by not in ("", word):
                self._at = started_at
                break
            operands.append(self._unary())
            joined_by = word
        if word in ("AND", "OR"):
            raise self._fault("AND and OR must not be mixed without parentheses")
        if not joined_by:
            return operands[0]
        return _And(operands) if joined_by == "AND" else _Or(operands)

    def _unary(self) -> _Node:
        started_at = self._at
        if self._accept("-") or self._match(_WORD) == "NOT":
            return _Not(self._term())
        self._at = started_at
        return self._term()

    def _term(self) -> _Node:
        if self._accept("("):
            node = self._filter()
            self._expect(")")
            return node
        started_at = self._at
        word = self._match(_WORD)
        if word == "attributes":
            return self._attribute()
        if word == "hasPrefix":
            return self._has_prefix()
        self._at = started_at
        raise self._fault("attributes, hasPrefix or ( was expected")

    def _attribute(self) -> _Node:
        if self._accept(":"):
            return _Has(self._key())
        if not self._accept("."):
            raise self._fault(": or . was expected")
        key = self._key()
        if self._accept("!="):
            return _Not(_Equals(key, self._string()))
        if self._accept("="):
            return _Equals(key, self._string())
        raise self._fault("= or != was expected")

    def _has_prefix(self) -> _Node:
        self._expect("(")
        self._expect("attributes")
        self._expect(".")
        key = self._key()
        self._expect(",")
        prefix = self._string()
        self._expect(")")
        return _HasPrefix(key, prefix)

    def _key(self) -> str:
        if self._text.startswith('"', self._at):
            return self._string()
        key = self._match(_KEY)
        if key is None:
            raise self._fault("a key was expected: letters, digits, _ and -, or a quoted string")
        return key

    def _string(self) -> str:
        if not self._text.startswith('"', self._at):
            raise self._fault("a string in double quotes was expected")
        self._at += 1
        parts: list[str] = []
        while not self._text.startswith('"', self._at):
            plain = _PLAIN.match(self._text, self._at)
            if plain:
                parts.append(plain.group())
                self._at = plain.end()
            else:
                parts.append(self._escape())
        self._at += 1
        self._skip_space()
        return "".join(parts)

    def _escape(self) -> str:
        if self._at == len(self._text):
            raise self._fault("the string has no closing quote")
        match = _ESCAPE.match(self._text, self._at)
        if match is None:
            raise self._fault("this character must be escaped, or is no escape sequence")
        if match["char"]:
            char = _CONTROLS.get(match["char"], match["char"])
        else:
            digits = match["hex"] or match["short"] or match["long"]
            char = self._char(int(digits, 16) if digits else int(match["octal"], 8))
        self._at = match.end()
        return char

    def _char(self, code_point: int) -> str:
        surrogate = code_point in _SURROGATES
        if surrogate or code_point > sys.maxunicode:
            raise self._fault("there is no character of this number")
        return chr(code_point)

    def _match(self, pattern: re.Pattern[str]) -> str | None:
        match = pattern.match(self._text, self._at)
        if match is None:
            return None
        self._at = match.end()
        self._skip_space()
        return match.group()

    def _accept(self, token: str) -> bool:
        found = self._text.startswith(token, self._at)
        if found:
            self._at += len(token)
            self._skip_space()
        return found

    def _expect(self, token: str) -> None:
        if not self._accept(token):
            raise self._fault(f"{token} was expected")

    def _skip_space(self) -> None:
        match = _SPACE.match(self._text, self._at)
        self._at = match.end() if match else self._at

    def _fault(self, rule: str) -> InvalidArgument:
        return InvalidArgument("filter", repr(self._text), f"{rule} at character {self._at + 1}")
