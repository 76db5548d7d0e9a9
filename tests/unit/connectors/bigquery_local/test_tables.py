"""Tables: valid ones, and the changes of schema that BigQuery allows."""

from typing import Any

import pytest

from connectors.bigquery_local.errors import Refusal
from connectors.bigquery_local.names import TableName
from connectors.bigquery_local.tables import Table, new_table, updated_table

NAME = TableName("p", "d", "t")


def field(name: str, kind: str = "STRING", mode: str = "NULLABLE", **more: Any) -> dict[str, Any]:
    """Return a field of the REST API."""
    return {"name": name, "type": kind, "mode": mode, **more}


def table(*fields: dict[str, Any], **about: Any) -> Table:
    """Return a table with columns."""
    return new_table(NAME, {"schema": {"fields": list(fields)}, **about}, "uid", 1_000)


def patched(before: Table, *fields: dict[str, Any]) -> Table:
    """Return the table after a patch of its schema."""
    return updated_table(before, {"schema": {"fields": list(fields)}}, 2_000)


def test_resource_keeps_metadata() -> None:
    """Partitioning, clustering, expiration and primary key come back as they were given."""
    about = {
        "timePartitioning": {"type": "DAY", "field": "at"},
        "clustering": {"fields": ["a"]},
        "expirationTime": "99",
        "tableConstraints": {"primaryKey": {"columns": ["a"]}},
    }
    made = table(field("a"), field("at", "TIMESTAMP"), **about)
    assert {key: made.resource()[key] for key in about} == about
    assert made.key == ("a",)


@pytest.mark.parametrize(("about", "text"), [
    ({"clustering": {"fields": ["zz"]}}, "zz of the clustering"),
    ({"timePartitioning": {"type": "DAY", "field": "a"}}, "must be of type DATE"),
    ({"tableConstraints": {"primaryKey": {"columns": ["zz"]}}}, "primary key"),
    ({"view": {"query": "SELECT 1"}}, "view"),
])  # fmt: skip
def test_layout_is_checked(about: dict[str, Any], text: str) -> None:
    """What names a column must name one of a type that fits."""
    with pytest.raises(Refusal, match=text):
        table(field("a"), **about)


def test_new_column_raises_the_version() -> None:
    """Writers learn of a change by the version."""
    before = table(field("a"))
    after = patched(before, field("a"), field("b", "INTEGER"))
    assert [column.name for column in after.schema] == ["a", "b"]
    assert after.version == before.version + 1


def test_metadata_does_not() -> None:
    """A description is no change of the schema."""
    before = table(field("a"))
    assert updated_table(before, {"description": "x"}, 2_000).version == before.version


def test_required_is_relaxed() -> None:
    """REQUIRED may become NULLABLE, not the other way."""
    before = table(field("a", mode="REQUIRED"))
    assert patched(before, field("a")).schema[0].mode == "NULLABLE"
    with pytest.raises(Refusal, match="has changed mode from NULLABLE to REQUIRED"):
        patched(table(field("a")), field("a", mode="REQUIRED"))


@pytest.mark.parametrize(("fields", "text"), [
    ([field("b")], "Field a is missing in new schema"),
    ([field("a", "INTEGER")], "Field a has changed type from STRING to INT64"),
    ([field("a"), field("c", mode="REQUIRED")], r"Cannot add required fields.*\(field: c\)"),
    ([field("a"), field("A")], "Duplicate field names"),
])  # fmt: skip
def test_refused_changes(fields: list[dict[str, Any]], text: str) -> None:
    """Columns are not dropped, retyped, or added as REQUIRED."""
    with pytest.raises(Refusal, match=text):
        patched(table(field("a")), *fields)


def test_changes_inside_records() -> None:
    """The same rules hold for the fields of a record."""
    before = table(field("r", "RECORD", fields=[field("x")]))
    after = patched(before, field("r", "RECORD", fields=[field("x"), field("y")]))
    assert [child.name for child in after.schema[0].fields] == ["x", "y"]
    with pytest.raises(Refusal, match=r"Field r\.x is missing"):
        patched(before, field("r", "RECORD", fields=[field("y")]))


def test_update_drops_what_it_lacks() -> None:
    """An update replaces the metadata, a patch adds to it."""
    before = table(field("a"), description="x", labels={"k": "v"})
    assert updated_table(before, {"labels": {"q": "w"}}, 2_000).about["description"] == "x"
    assert "description" not in updated_table(before, {"labels": {}}, 2_000, whole=True).about
    assert "description" not in updated_table(before, {"description": None}, 2_000).about
