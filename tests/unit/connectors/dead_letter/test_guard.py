"""The guard against endless replay."""

import pytest

from connectors.dead_letter.guard import guard
from transforms.batch import Batch
from transforms.failure import FAILURE_SCHEMA


def failures(*attributes: list[tuple[str, str]] | None) -> Batch:
    """Return failures of messages with these attributes."""
    rows = [
        {"schema_version": 1, "step": "s", "error_kind": "k", "error": "e", "attributes": each}
        for each in attributes
    ]
    return Batch.from_pylist(rows, FAILURE_SCHEMA)


def test_each_replay_is_counted() -> None:
    """The first replay adds the counter, later ones raise it; other attributes stay."""
    dead = failures([("a", "1")], [("headrace_replays", "1"), ("a", "2")], [], None)
    ok, worn = guard(dead, 3)
    assert [dict(row) for row in ok.column("attributes").to_pylist()] == [
        {"a": "1", "headrace_replays": "1"},
        {"a": "2", "headrace_replays": "2"},
        {"headrace_replays": "1"},
        {"headrace_replays": "1"},
    ]
    assert len(worn) == 0
    assert ok.drop(["attributes"]) == dead.drop(["attributes"])


@pytest.mark.parametrize("count", ["2", "3", "999999999", "1e3", "-1", "", "two", "9" * 30])
def test_what_had_its_number_is_held_back_as_it_is(count: str) -> None:
    """A counter at the limit, or one that was not written here, is not raised any more."""
    dead = failures([], [("headrace_replays", count)], [])
    ok, worn = guard(dead, 2)
    assert len(ok) == 2
    assert worn == dead.slice(1, 1)
