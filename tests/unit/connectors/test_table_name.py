"""Names of tables."""

import pytest

from connectors.table_name import TableName
from transforms.errors import ConfigError


@pytest.mark.parametrize(
    "text",
    ["my-project.data.rows", "my-project:data.rows",
     "projects/my-project/datasets/data/tables/rows"],
)  # fmt: skip
def test_every_way_to_write_a_table(text: str) -> None:
    """The ways of SQL, of bq and of the API mean the same table."""
    table = TableName.parse(text)
    assert table == TableName("my-project", "data", "rows")
    assert str(table) == "my-project.data.rows"
    assert table.default_stream.endswith("/tables/rows/streams/_default")


def test_project_with_a_domain() -> None:
    """Projects of a domain have its name and a colon before theirs."""
    assert TableName.parse("example.com:my-project.data.rows").project == "example.com:my-project"


@pytest.mark.parametrize(
    "text", ["", "rows", "data.rows", "p.data.rows", "my-project.da-ta.rows", "my-project.data.r.s",
             "my-project.data.", "my-project.data.a/b", "My-Project.data.rows", "a" * 70 + ".d.t"],
)  # fmt: skip
def test_other_text_is_refused(text: str) -> None:
    """The error names parameter, value, rule and an example."""
    with pytest.raises(ConfigError, match=r"^there=.*PROJECT\.DATASET\.TABLE"):
        TableName.parse(text, "there")
