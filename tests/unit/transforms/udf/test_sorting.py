"""Where each thing goes that a function has returned."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from typing import Any

import pytest

from transforms import kinds
from transforms.udf.calls import Failed
from transforms.udf.sorting import collected, sort

A, B = {"a": 1}, {"b": 2}


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (None, None),
        (A, A),
        (OrderedDict(A), A),
        ([A, None], [A, None]),
        ((A, B), [A, B]),
        (iter([A]), [A]),
        (("late", A), [("late", A)]),
        ([("late", A), B], [("late", A), B]),
        ({}, {}),
    ],
)
def test_results_are_rows_lists_or_nothing(result: Any, expected: Any) -> None:
    """A tuple of a text and something is a name and what goes there."""
    assert collected(lambda row: result, (dict,))(A) == expected


def test_rows_that_make_up_values_are_plain_afterwards() -> None:
    """A column that is absent stays so."""
    made = collected(lambda row: defaultdict(int, a=1), (dict,))(A)
    assert type(made) is dict


@pytest.mark.parametrize("result", [7, "text", b"bytes", {1}.__class__, object()])
def test_other_results_are_wrong(result: Any) -> None:
    """A text is not a list of its characters."""
    found = collected(lambda row: result, (dict,))(A)
    assert isinstance(found, Failed)
    assert found.kind == kinds.UDF_RESULT


def test_origin_is_known_of_everything() -> None:
    """By the index of the row."""
    results = [A, None, [A, ("late", B), B], Failed("kind", "why"), [], [("late", A)]]
    found = sort(results, (dict,), ("late", "odd"))
    assert (found.main.values, list(found.main.origin)) == ([A, A, B], [0, 2, 2])
    assert (found.routed["late"].values, list(found.routed["late"].origin)) == ([B, A], [2, 5])
    assert found.routed["odd"].values == []
    assert found.errors == {3: ("kind", "why")}
    assert found.dropped == 2


def test_one_wrong_item_is_the_error_of_its_row() -> None:
    """None of the others of that row goes on."""
    found = sort([[A, 7], [("never", A)], [("late", 7)], A], (dict,), ("late",))
    assert found.main.values == [A]
    assert sorted(found.errors) == [0, 1, 2]
    assert {kind for kind, _ in found.errors.values()} == {kinds.UDF_RESULT}
