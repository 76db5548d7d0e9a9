"""Tables that are made on request: what BigQuery would refuse is told by us, and before."""

from __future__ import annotations

from typing import Any

import pytest

from connectors.bigquery.create import Create, require_layout
from connectors.bigquery.terms import Terms
from transforms.errors import ConfigError

FLAGS = Terms("--table", "--if_missing=create", "--partition_by", "--cluster_by", "--primary_key")


def column(name: str, kind: str, mode: str = "NULLABLE") -> dict[str, Any]:
    """Return a column in the form of the REST API."""
    return {"name": name, "type": kind, "mode": mode}


COLUMNS = [
    column("id", "INTEGER", "REQUIRED"),
    column("At", "TIMESTAMP"),
    column("civil", "DATETIME"),
    column("day", "DATE"),
    column("time", "TIME"),
    column("text", "STRING"),
    column("price", "FLOAT"),
    column("body", "JSON"),
    column("who", "RECORD"),
    column("times", "TIMESTAMP", "REPEATED"),
    column("tags", "STRING", "REPEATED"),
]


@pytest.mark.parametrize(
    "choice",
    [{"partition_by": "week(at)"}, {"partition_by": "day"}, {"partition_expiration_s": 1.0},
     {"cluster_by": ("a", "b", "c", "d", "e")},
     {"primary_key": tuple(f"c{n}" for n in range(17))}],
)  # fmt: skip
def test_choice_against_the_rules_is_refused(choice: dict[str, Any]) -> None:
    """Whatever the columns are."""
    with pytest.raises(ConfigError):
        Create(**choice)


@pytest.mark.parametrize(
    "create",
    [
        Create(),
        Create(partition_by="hour(at)", cluster_by=("text", "id", "day", "civil")),
        Create(partition_by="day(day)", primary_key=("id", "text")),
        Create(partition_by="month(civil)"),
        Create(partition_by="hour()"),
    ],
)
def test_columns_that_fit_are_taken(create: Create) -> None:
    """Names go in any case, and partitions by arrival need no column."""
    require_layout(create, COLUMNS)


@pytest.mark.parametrize(
    ("create", "words"),
    [
        (Create(partition_by="day(gone)"), ["partition_by='day(gone)'", "gone", "id, At, civil"]),
        (Create(partition_by="day(text)"), ["partition_by='day(text)'", "STRING", "DATETIME"]),
        (Create(partition_by="hour(day)"), ["partition_by='hour(day)'", "DATE:", "hour() takes"]),
        (Create(partition_by="day(times)"), ["partition_by='day(times)'", "REPEATED"]),
        (Create(cluster_by=("text", "gone")), ["cluster_by='text,gone'", "names gone"]),
        (Create(cluster_by=("price",)), ["cluster_by='price'", "FLOAT", "cluster by"]),
        (Create(cluster_by=("tags",)), ["cluster_by='tags'", "REPEATED"]),
        (Create(cluster_by=("time",)), ["cluster_by='time'", "TIME"]),
        (Create(primary_key=("gone",)), ["primary_key='gone'"]),
        (Create(primary_key=("id", "body")), ["primary_key='id,body'", "names body", "JSON"]),
        (Create(primary_key=("who",)), ["primary_key='who'", "RECORD"]),
    ],
)
@pytest.mark.parametrize("terms", [None, FLAGS], ids=["python", "flags"])
def test_columns_that_do_not_fit_are_named(
    create: Create, words: list[str], terms: Terms | None
) -> None:
    """With the argument, or the flag, its value, the rule and what to do."""
    with pytest.raises(ConfigError) as caught:
        require_layout(create, COLUMNS, terms)
    text = str(caught.value)
    assert text.startswith("--" + words[0] if terms else words[0])
    assert all(word in text for word in words), text
