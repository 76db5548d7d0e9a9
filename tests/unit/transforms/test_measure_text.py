"""Measures as people write them."""

import pytest

from transforms.errors import ConfigError
from transforms.field import Field, column
from transforms.measure_text import parse_measures
from transforms.measures import Count, Distinct, Max, Mean, Min, Sum


def test_measures_are_read_in_their_order() -> None:
    """Blanks and the case of the measure do not matter; fields are as everywhere."""
    text = "n=count(), a = SUM( x ),b=mean(x),c=min(attribute:y),d=max(x),e=distinct(message:data)"
    assert list(parse_measures(text).items()) == [
        ("n", Count()),
        ("a", Sum(column("x"))),
        ("b", Mean(column("x"))),
        ("c", Min(Field.parse("attribute:y"))),
        ("d", Max(column("x"))),
        ("e", Distinct(Field.parse("message:data"))),
    ]


WRONG = [
    "", "n", "n=", "n=count", "n=count(x)", "n=sum()", "n=median(x)", "n=sum(x", "=count()",
    "n=count(),", "n=count() m=count()", "1n=count()", "n=sum(a,b)", "n=sum(message:nope)",
]  # fmt: skip


@pytest.mark.parametrize("text", WRONG)
def test_what_is_no_measure_is_refused(text: str) -> None:
    """The error shows the form."""
    with pytest.raises(ConfigError):
        parse_measures(text)


def test_one_name_for_two_measures_is_refused() -> None:
    """One of them would be lost."""
    with pytest.raises(ConfigError, match="names two columns"):
        parse_measures("n=count(),n=sum(x)")
