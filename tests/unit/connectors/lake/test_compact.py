"""Which files of a lake become one."""

from __future__ import annotations

from connectors.lake.compact import Group, plan
from connectors.store import Found

BEFORE_S = 1_000.0


def groups(*found: Found, file_bytes: int = 100) -> list[Group]:
    return list(plan("/lake", found, file_bytes, BEFORE_S))


def small(name: str, size: int = 30, modified_s: float = 0.0) -> Found:
    return Found(name, size, modified_s)


def test_files_of_a_folder_are_filled_up_in_order() -> None:
    """By name, which begins with the time; a group has at most the wanted size."""
    found = [small(f"k=1/{name}.parquet") for name in "dacb"]
    (group,) = groups(*found)
    assert group.sources == [f"/lake/k=1/{name}.parquet" for name in "abc"]
    assert group.target.startswith("/lake/k=1/compact-")


def test_folders_are_not_mixed() -> None:
    """A file's folder holds the values of its rows."""
    found = [small("k=1/a.parquet"), small("k=2/a.parquet"), small("k=2/b.parquet")]
    (group,) = groups(*found)
    assert group.sources == ["/lake/k=2/a.parquet", "/lake/k=2/b.parquet"]


def test_large_young_and_hidden_files_stay() -> None:
    """And those that are no Parquet."""
    found = [
        small("a.parquet"), small("large.parquet", 50), small("young.parquet", 30, BEFORE_S),
        small("_lake-1"), small(".hidden/a.parquet"), small("_headrace/b.parquet"),
        small("c.csv"),
    ]  # fmt: skip
    assert groups(*found) == []


def test_the_same_files_have_the_same_target() -> None:
    """Whoever dies and merges again writes the same name; other files have another."""
    found = [small("a.parquet"), small("b.parquet")]
    (group,) = groups(*found)
    assert groups(*reversed(found)) == [group]
    (other,) = groups(*found, small("c.parquet"))
    assert other.target != group.target
