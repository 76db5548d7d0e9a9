"""Resource names and ids."""

import pytest

from connectors.bigquery_local.errors import Refusal
from connectors.bigquery_local.names import DEFAULT, TableName, check_id, stream_name, table_name

TABLE = TableName("p-1", "d", "t")


def test_names() -> None:
    """Parsed and written alike; the default stream has two spellings."""
    assert table_name(str(TABLE)) == TABLE
    assert TABLE.legacy == "p-1:d.t"
    for text in (f"{TABLE}/streams/_default", f"{TABLE}/_default"):
        assert stream_name(text) == (TABLE, DEFAULT)
    assert str(stream_name(f"{TABLE}/streams/x")) == f"{TABLE}/streams/x"


@pytest.mark.parametrize("text", ["", "d.t", str(TABLE) + "/", f"{TABLE}/streams/", "projects/p"])
def test_bad_names(text: str) -> None:
    """The sentence shows the form."""
    with pytest.raises(Refusal, match="must be projects/P/datasets/D/tables/T"):
        stream_name(text)


def test_ids() -> None:
    """A table may have hyphens, spaces and letters of any script, a dataset not."""
    check_id("dataset", "a_1")
    check_id("table", "a-1 é")
    for kind, bad in (("dataset", "a-1"), ("dataset", ""), ("table", "a/b"), ("table", "a.b")):
        with pytest.raises(Refusal, match=f"Invalid {kind} ID"):
            check_id(kind, bad)
