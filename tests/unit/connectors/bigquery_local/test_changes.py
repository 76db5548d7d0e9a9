"""Change data capture: which of several changes of a key holds."""

import pytest

from connectors.bigquery_local.changes import Winner, check, sortable, winners


def test_sequences_sort_as_numbers() -> None:
    """Section by section, whatever their digits and their case; missing sections are zero."""
    ordered = ["0", "9", "a", "F/1", "F/00A", "F/B", "10", "10/0/0/1", "FFFFFFFFFFFFFFFF"]
    assert sorted(ordered, key=sortable) == ordered
    assert sortable("1") == sortable("0001/0")


def test_no_sequence_is_below_all() -> None:
    """A change without a number never takes back one with a number."""
    assert sortable(None) < sortable("0")


def test_last_of_the_batch_wins_without_sequences() -> None:
    """The order of arrival decides."""
    found = winners(["k", "k", "q"], ["UPSERT", "DELETE", "UPSERT"], ["", "", ""], {})
    assert found == {"k": Winner(1, True, ""), "q": Winner(2, False, "")}


def test_highest_sequence_wins() -> None:
    """Arrival only decides between equal numbers."""
    numbers = [sortable(text) for text in ("5", "3", "5")]
    assert winners(["k"] * 3, ["UPSERT"] * 3, numbers, {})["k"].row == 2
    assert winners(["k"] * 2, ["UPSERT"] * 2, numbers[:2], {})["k"].row == 0


def test_late_change_is_dropped() -> None:
    """What was applied before with a higher number stays, also if it was a delete."""
    assert winners(["k"], ["UPSERT"], [sortable("3")], {"k": sortable("5")}) == {}


@pytest.mark.parametrize("kind", [None, "upsert", "INSERT", ""])
def test_bad_types(kind: str | None) -> None:
    """UPSERT and DELETE, in capitals."""
    assert list(check(["UPSERT", kind, "DELETE"], None)) == [1]


@pytest.mark.parametrize("text", ["", "g", "1/", "1/2/3/4/5", "0" * 17, "1 2"])
def test_bad_sequences(text: str) -> None:
    """Up to 4 sections of up to 16 hexadecimal digits."""
    assert list(check(["UPSERT"] * 2, ["1/aF", text])) == [1]
