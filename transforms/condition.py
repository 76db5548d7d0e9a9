"""``Condition``: a small language that says which rows are meant, run on whole columns.

    attribute:kind = "click" AND (n > 5 OR region IN ("eu", "us")) AND NOT starts_with(name, "test")

    condition   = all {OR all}
    all         = one {AND one}
    one         = NOT one | ( condition ) | comparison
    comparison  = field (= | != | < | <= | > | >=) value
                | field [NOT] IN ( value {, value} )
                | field IS [NOT] NULL
                | (starts_with | ends_with | contains | matches) ( field , text )
    field       = NAME | column:NAME | attribute:NAME | message:NAME
    value       = "text" | 'text' | number | TRUE | FALSE

Words may be in any case. Times and dates are written as text:
``message:publish_time >= "2026-01-31T09:30:00Z"``. ``matches`` takes a regular expression of RE2,
anywhere in the text. Names of other letters stand in backquotes: ``attribute:`two words```.

As in SQL a comparison with null is neither true nor false, and only rows for which the condition
is true are meant. So a message without the attribute ``kind`` is meant neither by
``attribute:kind != "x"`` nor by ``NOT attribute:kind = "x"``; add ``OR attribute:kind IS NULL``.
"""

from __future__ import annotations

import decimal
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from transforms.batch import Batch
from transforms.condition_text import Token, bad, tokens
from transforms.errors import ConfigError
from transforms.field import Field
from transforms.lookup import look_up

__all__ = ["Condition"]

Mask: TypeAlias = Callable[[Batch], pa.Array]
Value: TypeAlias = str | int | float | bool

_COMPARISONS = {
    "=": pc.equal,
    "!=": pc.not_equal,
    "<": pc.less,
    "<=": pc.less_equal,
    ">": pc.greater,
    ">=": pc.greater_equal,
}
_FUNCTIONS = {
    "STARTS_WITH": pc.starts_with,
    "ENDS_WITH": pc.ends_with,
    "CONTAINS": pc.match_substring,
    "MATCHES": pc.match_substring_regex,
}


@dataclass(frozen=True)
class Condition:
    """A condition on rows; see the module for the language.

    Raises:
        ConfigError: the text is no condition; the error tells the place.
    """

    text: str
    fields: tuple[Field, ...] = field(init=False, compare=False)
    """The fields that it names, in their order."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "fields", tuple(_Reader(self.text).read()[1]))

    def mask(self, batch: Batch) -> pa.BooleanArray:
        """Return which rows are meant, without nulls.

        Raises:
            ConfigError: the batch lacks a column, or a value can't be compared with one.
        """
        # Closures can't be pickled, texts can: it is read again where it is run, once.
        if "_run" not in vars(self):
            object.__setattr__(self, "_run", _Reader(self.text).read()[0])
        return pc.fill_null(vars(self)["_run"](batch), False)

    def check(self, schema: pa.Schema) -> None:
        """Refuse a condition that can't be tested on rows of a schema.

        Raises:
            ConfigError: as ``mask``.
        """
        self.mask(Batch.from_pylist([], schema))

    def __getstate__(self) -> dict[str, object]:
        return {"text": self.text, "fields": self.fields}

    def __setstate__(self, state: dict[str, object]) -> None:
        vars(self).update(state)

    def __str__(self) -> str:
        return self.text


class _Reader:
    """Reads a condition by recursive descent; each method reads one rule of the grammar."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = tokens(text)
        self._next = 0
        self._fields: dict[Field, None] = {}

    def read(self) -> tuple[Mask, list[Field]]:
        mask = self._condition()
        if self._token.kind != "end":
            raise self._bad("AND, OR or the end")
        return mask, list(self._fields)

    @property
    def _token(self) -> Token:
        return self._tokens[self._next]

    def _take(self, *wanted: str) -> str | None:
        """Go on if the next token is one of these; return which."""
        word = self._token.word
        if word not in wanted:
            return None
        self._next += 1
        return word

    def _require(self, wanted: str) -> None:
        if self._take(wanted) is None:
            raise self._bad(wanted)

    def _bad(self, wanted: str) -> ConfigError:
        return bad(self._text, self._token, wanted)

    def _condition(self) -> Mask:
        mask = self._all()
        while self._take("OR"):
            mask = _both(pc.or_kleene, mask, self._all())
        return mask

    def _all(self) -> Mask:
        mask = self._one()
        while self._take("AND"):
            mask = _both(pc.and_kleene, mask, self._one())
        return mask

    def _one(self) -> Mask:
        if self._take("NOT"):
            return _inverted(self._one())
        if self._take("("):
            mask = self._condition()
            self._require(")")
            return mask
        if function := self._take(*_FUNCTIONS):
            return self._function(function)
        return self._comparison()

    def _function(self, name: str) -> Mask:
        self._require("(")
        subject = self._field()
        self._require(",")
        if self._token.kind != "text":
            raise self._bad("a text in quotes")
        place, text = self._token, self._value()
        self._require(")")
        function = _FUNCTIONS[name]
        try:
            function(pa.array([""]), text)
        except pa.ArrowInvalid as error:
            raise bad(self._text, place, f"a regular expression ({error})") from None
        return _of(subject, lambda values: function(values, text))

    def _comparison(self) -> Mask:
        subject = self._field()
        if operator := self._take(*_COMPARISONS):
            compare, value = _COMPARISONS[operator], self._value()
            return _of(subject, lambda values: compare(values, _as(value, values.type)))
        if self._take("IS"):
            is_not = self._take("NOT")
            self._require("NULL")
            return _of(subject, pc.is_valid if is_not else pc.is_null)
        is_not = self._take("NOT")
        self._require("IN")
        mask = self._in(subject)
        return _inverted(mask) if is_not else mask

    def _in(self, subject: Field) -> Mask:
        self._require("(")
        among = [self._value()]
        while self._take(","):
            among.append(self._value())
        self._require(")")

        def run(values: pa.Array) -> pa.Array:
            wanted = pa.array([_as(value, values.type).as_py() for value in among], values.type)
            found = pc.is_in(values, value_set=wanted)
            return pc.if_else(values.is_valid(), found, pa.scalar(None, pa.bool_()))

        return _of(subject, run)

    def _field(self) -> Field:
        token = self._token
        if token.kind != "name":
            raise self._bad("a field, such as n or attribute:kind")
        self._next += 1
        found = Field.parse(str(token.value))
        self._fields[found] = None
        return found

    def _value(self) -> Value:
        token = self._token
        if token.kind not in ("text", "number") and token.word not in ("TRUE", "FALSE"):
            raise self._bad("a text in quotes, a number, TRUE or FALSE")
        self._next += 1
        return token.value if token.kind in ("text", "number") else token.word == "TRUE"


def _both(combine: Callable[[pa.Array, pa.Array], pa.Array], one: Mask, two: Mask) -> Mask:
    return lambda batch: combine(one(batch), two(batch))


def _inverted(mask: Mask) -> Mask:
    return lambda batch: pc.invert(mask(batch))


def _of(subject: Field, test: Callable[[pa.Array], pa.Array]) -> Mask:
    """Return a test of one field, whose errors name it."""

    def run(batch: Batch) -> pa.Array:
        values = look_up("condition", subject, batch)
        try:
            return test(values)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
            raise ConfigError(
                "condition", str(subject), f"can't be tested, for it is {values.type}: {error}",
                "Compare text with text in quotes and numbers with numbers; attributes are text",
            ) from error  # fmt: skip

    return run


def _as(value: Value, kind: pa.DataType) -> pa.Scalar:
    """Return the value as one of the column's type, if it is of that sort."""
    if _sort(value) is not _sort_of(kind):
        raise pa.ArrowInvalid(f"{value!r} is no value of that type")
    if pa.types.is_decimal(kind):
        return pa.scalar(decimal.Decimal(str(value)))
    if isinstance(value, float) and not pa.types.is_floating(kind):
        # A fraction is compared with integers as it is, not rounded to one.
        return pa.scalar(value)
    return pa.scalar(value).cast(kind)


def _sort(value: Value) -> type:
    return float if isinstance(value, int) and not isinstance(value, bool) else type(value)


def _sort_of(kind: pa.DataType) -> type:
    """Return how values of a type are written: as text, as numbers, or as TRUE and FALSE."""
    if pa.types.is_boolean(kind):
        return bool
    tests = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal)
    return float if any(test(kind) for test in tests) else str
