"""Where dead letters go, as the command line says it."""

import pytest

from connectors.dead_letter.target import Folder, Topic, target
from connectors.table_name import TableName
from transforms.errors import ConfigError


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("./dead", Folder("./dead")),
        ("dead/", Folder("dead")),
        ("/", Folder("/")),
        ("gs://bucket/dead/", Folder("gs://bucket/dead")),
        ("./projects/p/topics/t", Folder("./projects/p/topics/t")),
        ("projects/p/topics/dead", Topic("projects/p/topics/dead")),
        ("my-project.d.t", TableName("my-project", "d", "t")),
        ("./my-project.d.t", Folder("./my-project.d.t")),
        ("my-project:d.t", TableName("my-project", "d", "t")),
        ("example.com:my-project:d.t", TableName("example.com:my-project", "d", "t")),
        ("projects/my-project/datasets/d/tables/t", TableName("my-project", "d", "t")),
    ],
)
def test_form_says_which_target_is_meant(text: str, meant: object) -> None:
    """Topics and tables are told from folders by how they are written."""
    assert target(text) == meant


@pytest.mark.parametrize(
    "text",
    ["", "s3://bucket/dead", "projects/p", "projects/p/datasets/d", "projects/p/subscriptions/s"],
)
def test_what_is_none_of_the_three_is_refused(text: str) -> None:
    """The error names all three forms."""
    forms = r"a topic, a table, or a folder.*PROJECT\.DATASET\.TABLE"
    with pytest.raises(ConfigError, match=forms):
        target(text)


def test_bad_topic_is_refused_by_the_rule_of_topics() -> None:
    """What is meant as a topic is not taken for a folder."""
    with pytest.raises(ConfigError, match="3 to 255"):
        target("projects/p/topics/1")


@pytest.mark.parametrize("text", ["p.d.t", "p:d.t", "my-project.d.t$20260101"])
def test_bad_table_is_refused_by_the_rule_of_tables(text: str) -> None:
    """What is meant as a table is not taken for a folder."""
    with pytest.raises(ConfigError, match=r"PROJECT\.DATASET\.TABLE, in the characters"):
        target(text)


@pytest.mark.parametrize("text", ["./dead", "projects/p/topics/dead", "my-project.d.t"])
def test_target_is_shown_as_it_was_written(text: str) -> None:
    """An error about a target can be traced to the flag that gave it."""
    assert str(target(text)) == text
