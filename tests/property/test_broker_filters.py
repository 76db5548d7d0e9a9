"""Filters over columns decide as a plain evaluation of each message does."""

from collections.abc import Callable
from typing import NamedTuple

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from connectors.broker import filters, limits, rows

KEYS = ["a", "b-c", "x/y", "é"]
VALUES = ["", "1", "12", '"', "\\\n"]

Attributes = dict[str, str]


class Case(NamedTuple):
    """A filter as text and as a function of one message."""

    text: str
    matches: Callable[[Attributes], bool]
    compound: bool = False

    def within(self) -> str:
        """Return the text for use inside another filter."""
        return f"({self.text})" if self.compound else self.text


def quoted(value: str) -> str:
    """Return a string literal."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def terms() -> st.SearchStrategy[Case]:
    """Return a strategy for the four conditions on an attribute."""

    def build(key: str, value: str, form: str) -> Case:
        shown = key if key in ("a", "b-c") else quoted(key)
        match form:
            case "has":
                return Case(f"attributes:{shown}", lambda m: key in m)
            case "=":
                return Case(f"attributes.{shown}={quoted(value)}", lambda m: m.get(key) == value)
            case "!=":
                return Case(f"attributes.{shown}!={quoted(value)}", lambda m: m.get(key) != value)
        return Case(
            f"hasPrefix(attributes.{shown}, {quoted(value)})",
            lambda m: key in m and m[key].startswith(value),
        )

    forms = st.sampled_from(["has", "=", "!=", "prefix"])
    return st.builds(build, st.sampled_from(KEYS), st.sampled_from(VALUES), forms)


def combined(parts: st.SearchStrategy[Case]) -> st.SearchStrategy[Case]:
    """Return a strategy for negations and joins of filters."""

    def negated(part: Case, sign: str) -> Case:
        return Case(sign + part.within(), lambda m: not part.matches(m), compound=True)

    def joined(several: list[Case], word: str, decide: Callable[[list[bool]], bool]) -> Case:
        text = f" {word} ".join(each.within() for each in several)
        return Case(text, lambda m: decide([each.matches(m) for each in several]), compound=True)

    several = st.lists(parts, min_size=2, max_size=3)
    return (
        st.builds(negated, parts, st.sampled_from(["NOT ", "-"]))
        | st.builds(joined, several, st.just("AND"), st.just(all))
        | st.builds(joined, several, st.just("OR"), st.just(any))
    )


CASES = st.recursive(terms(), combined, max_leaves=6).filter(
    lambda case: len(case.text.encode()) <= limits.FILTER_BYTES_MAX
)
MESSAGES = st.lists(
    st.lists(st.tuples(st.sampled_from(KEYS), st.sampled_from(VALUES)), max_size=4), max_size=12
)


@given(case=CASES, messages=MESSAGES, start=st.integers(0, 12))
def test_columns_decide_as_each_message_does(
    case: Case, messages: list[list[tuple[str, str]]], start: int
) -> None:
    """Any filter, any messages, also a slice of them, also with a key that comes twice."""
    attributes = pa.array(messages, rows.STORED.field("attributes").type)
    mask = filters.compile(case.text).mask(attributes[start:])
    assert mask.tolist() == [case.matches(dict(each)) for each in messages[start:]]
