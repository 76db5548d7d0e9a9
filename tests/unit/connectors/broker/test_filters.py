"""The filter language: what matches, what is refused, and where the fault is."""

import re
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from connectors.broker import filters, limits, rows, schema, wire
from connectors.broker.errors import InvalidArgument

MESSAGES: list[dict[str, str]] = [
    {},
    {"a": "1"},
    {"a": "1", "b": "2"},
    {"a": "", "b": "20"},
    {"iana.org/lang": "en", "A": "1"},
    {"みんな": "é\n", "x-y_9": '"\\'},
    {"NOT": "OR", "-": "-1"},
]


def matches(text: str) -> list[int]:
    """Return the numbers of the messages that pass."""
    attributes = pa.array([list(each.items()) for each in MESSAGES], rows.STORED.field(1).type)
    return np.flatnonzero(filters.compile(text).mask(attributes)).tolist()  # type: ignore[no-any-return]


@pytest.mark.parametrize(("text", "expected"), [
    ("attributes:a", [1, 2, 3]),
    (" attributes : a ", [1, 2, 3]),
    ("attributes:A", [4]),
    ('attributes.a = "1"', [1, 2]),
    ('attributes.a="1"', [1, 2]),
    ('attributes.a = ""', [3]),
    ('attributes.a != "1"', [0, 3, 4, 5, 6]),
    ('hasPrefix(attributes.b, "2")', [2, 3]),
    ('hasPrefix ( attributes . b , "20" )', [3]),
    ('hasPrefix(attributes.b, "")', [2, 3]),
    ("NOT attributes:a", [0, 4, 5, 6]),
    ("-attributes:a", [0, 4, 5, 6]),
    ("NOT(attributes:a)", [0, 4, 5, 6]),
    ("NOT (NOT attributes:a)", [1, 2, 3]),
    ('NOT attributes.a = "1" AND attributes:a', [3]),
    ("attributes:a AND NOT attributes:b", [1]),
    ("attributes:a AND -attributes:b", [1]),
    ('attributes:a AND attributes:b AND attributes.b = "2"', [2]),
    ("attributes:b OR attributes:A OR attributes:NOT", [2, 3, 4, 6]),
    ("(attributes:a AND attributes:b) OR attributes:A", [2, 3, 4]),
    ("attributes:a AND (attributes:b OR attributes:A)", [2, 3]),
    ("NOT (attributes:a OR attributes:A)", [0, 5, 6]),
    ("((((attributes:a))))", [1, 2, 3]),
    ('attributes:"iana.org/lang"', [4]),
    ('attributes."iana.org/lang" = "en"', [4]),
    ('attributes:"みんな"', [5]),
    (r'attributes:"\u307f\u3093\u306A"', [5]),
    (r'attributes."\U0000307F\u3093な" = "\xe9\n"', [5]),
    (r'attributes."みんな" = "\351\12"', [5]),
    (r'attributes.x-y_9 = "\"\\"', [5]),
    ("attributes:NOT", [6]),
    ("attributes:-", [6]),
    ("-attributes:-", [0, 1, 2, 3, 4, 5]),
    ('attributes.a = "' + "x" * (limits.FILTER_BYTES_MAX - 17) + '"', []),
])  # fmt: skip
def test_messages_that_match(text: str, expected: list[int]) -> None:
    """Each form of the grammar, its precedence, and how keys and values are written."""
    assert matches(text) == expected


@pytest.mark.parametrize(("text", "rule", "character"), [
    ("", "attributes, hasPrefix or ( was expected", 1),
    ("  ", "attributes, hasPrefix or ( was expected", 3),
    ("bogus", "attributes, hasPrefix or ( was expected", 1),
    ("Attributes:a", "attributes, hasPrefix or ( was expected", 1),
    ("attributes", ": or . was expected", 11),
    ("attributes=a", ": or . was expected", 11),
    ("attributes:", "a key was expected", 12),
    ("attributes:a.b", "AND, OR or the end was expected", 13),
    ("attributes.é", "a key was expected", 12),
    ("attributes.a", "= or != was expected", 13),
    ('attributes.a == "b"', "a string in double quotes was expected", 15),
    ('attributes.a > "b"', "= or != was expected", 14),
    ("attributes.a = b", "a string in double quotes was expected", 16),
    ("attributes.a = 'b'", "a string in double quotes was expected", 16),
    ('attributes.a = "b', "the string has no closing quote", 18),
    ('attributes.a = "b\\"', "the string has no closing quote", 20),
    ('attributes.a = "\n"', "must be escaped", 17),
    (r'attributes.a = "b\q"', "is no escape sequence", 18),
    (r'attributes.a = "\x1"', "is no escape sequence", 17),
    (r'attributes.a = "\ud800"', "no character of this number", 17),
    (r'attributes.a = "\U00110000"', "no character of this number", 17),
    ("hasSuffix(attributes.a)", "attributes, hasPrefix or ( was expected", 1),
    ('hasPrefix(a, "b")', "attributes was expected", 11),
    ("hasPrefix(attributes.a)", ", was expected", 23),
    ('hasPrefix(attributes.a, "b"', ") was expected", 28),
    ("attributes:a and attributes:b", "AND, OR or the end was expected", 14),
    ("attributes:a attributes:b", "AND, OR or the end was expected", 14),
    ("attributes:a AND", "attributes, hasPrefix or ( was expected", 17),
    ("attributes:a AND attributes:b OR attributes:c", "must not be mixed without", 31),
    ("(attributes:a OR attributes:b AND attributes:c)", "must not be mixed without", 31),
    ("NOT NOT attributes:a", "attributes, hasPrefix or ( was expected", 5),
    ("--attributes:a", "attributes, hasPrefix or ( was expected", 2),
    ("NOTattributes:a", "attributes, hasPrefix or ( was expected", 1),
    ("(attributes:a", ") was expected", 14),
    ("attributes:a)", "AND, OR or the end was expected", 13),
])  # fmt: skip
def test_faults_are_refused_with_their_place(text: str, rule: str, character: int) -> None:
    """The sentence shows the filter, the rule and the character, counted from 1."""
    with pytest.raises(InvalidArgument, match=re.escape(rule)) as refused:
        filters.compile(text)
    assert str(refused.value).startswith(f"Invalid filter ({text!r})")
    assert str(refused.value).endswith(f"at character {character}.")


def test_length_is_limited_in_bytes() -> None:
    """256 bytes pass, one more does not; characters may have several."""
    text = 'attributes.a = "{}"'
    room = limits.FILTER_BYTES_MAX - len(text.format(""))
    filters.compile(text.format("é" * (room // 2)))
    with pytest.raises(InvalidArgument, match=r"257 bytes.*at most 256 bytes"):
        filters.compile(text.format("é" * (room // 2) + "x" * (1 + room % 2)))


def test_deepest_filter_is_understood() -> None:
    """The length bounds the depth, and the depth is no fault."""
    depth = (limits.FILTER_BYTES_MAX - len("attributes:a")) // 2
    assert matches("(" * depth + "attributes:a" + ")" * depth) == [1, 2, 3]


def decoded(*attributes: dict[str, str]) -> pa.MapArray:
    """Return attributes as the broker decodes them from a request."""
    request = schema.message("PublishRequest")(messages=[{"attributes": a} for a in attributes])
    return wire.decode("PublishRequest", request.SerializeToString())["messages"].field(1)


def test_decoded_and_sliced_attributes_are_understood() -> None:
    """The columns of a request, and a part of them, are as good as any."""
    attributes = decoded(*({"n": str(number % 3)} for number in range(9)))
    chosen = filters.compile('attributes.n = "2"')
    expected = [number % 3 == 2 for number in range(9)]
    assert chosen.mask(attributes).tolist() == expected
    assert chosen.mask(attributes[4:8]).tolist() == expected[4:8]
    assert chosen.mask(attributes[:0]).tolist() == []


def test_last_of_a_repeated_attribute_counts() -> None:
    """On the wire a key may come twice; the API's map keeps the last."""
    entries: Any = [[("a", "1"), ("a", "2")], [("a", "2"), ("b", "0"), ("a", "1")]]
    attributes = pa.array(entries, rows.STORED.field(1).type)
    assert filters.compile('attributes.a = "2"').mask(attributes).tolist() == [True, False]
