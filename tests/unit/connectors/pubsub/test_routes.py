"""Which topic a row goes to."""

import numpy as np
import pyarrow as pa
import pytest

from connectors.pubsub.routes import Route, destinations
from tests.conftest import message_batch
from transforms.batch import Batch
from transforms.errors import ConfigError


def test_fields_take_their_places() -> None:
    """Columns, attributes and parts of the message fill the braces; numbers are written out."""
    rows = message_batch([b"a", b"b"]).with_column("n", pa.array([7, 8]))
    route = Route("projects/p/topics/x-{attribute:key}-{n}-{message:message_id}")
    assert route(rows).to_pylist() == [
        "projects/p/topics/x-k1-7-1", "projects/p/topics/x-k2-8-2",
    ]  # fmt: skip


def test_a_field_may_hold_the_whole_name() -> None:
    """A topic that stands in the row needs no template around it."""
    rows = Batch(pa.RecordBatch.from_pydict({"to": ["projects/p/topics/abc"]}))
    assert Route("{to}")(rows).to_pylist() == ["projects/p/topics/abc"]


def test_row_without_a_value_has_no_topic() -> None:
    """One missing part is enough: half a name is none."""
    rows = Batch(pa.RecordBatch.from_pydict({"a": ["x", None], "b": ["y", "z"]}))
    assert Route("projects/p/topics/{a}{b}")(rows).to_pylist() == ["projects/p/topics/xy", None]


@pytest.mark.parametrize(
    "template", ["projects/p/topics/t", "{", "a}", "{a", "{a}}", "{{a}", "{}", "{message:nothing}"]
)
def test_template_without_fields_is_refused(template: str) -> None:
    """A brace too few or too many is told before anything starts."""
    with pytest.raises(ConfigError):
        Route(template)


def test_unknown_column_names_the_topic() -> None:
    """A rule that no batch can follow stops the pipeline instead of losing rows."""
    with pytest.raises(ConfigError, match=r"topic='column:gone'"):
        Route("projects/p/topics/{gone}")(message_batch([b"a"]))


def test_every_row_has_one_destination_or_reason() -> None:
    """Rows are sorted by topic in their order; bad names are told with their rule."""
    one, two = "projects/p/topics/one", "projects/p/topics/two"
    names = [two, one, None, two, "nonsense", one, "projects/p/topics/goog1"]
    found = destinations(pa.array(names))
    assert [(to.topic, to.rows.tolist()) for to in found.topics] == [(two, [0, 3]), (one, [1, 5])]
    assert {row: kind for row, (kind, _) in found.refused.items()} == {
        2: "no_topic", 4: "bad_topic_name", 6: "bad_topic_name",
    }  # fmt: skip
    assert "start with a letter and not with goog" in found.refused[6][1]


@pytest.mark.parametrize("names", [[], [None], [None, None]])
def test_nothing_has_no_destination(names: list[None]) -> None:
    """Batches of nothing, and of rows without a topic, ask no server."""
    found = destinations(pa.array(names, pa.string()))
    assert found.topics == []
    assert sorted(found.refused) == list(range(len(names)))


def test_many_topics_lose_no_row() -> None:
    """Each row is where its name says, whatever the number of topics."""
    chosen = np.random.default_rng(7).integers(0, 500, 10_000)
    found = destinations(pa.array([f"projects/p/topics/t{number:03d}" for number in chosen]))
    assert sum(len(to.rows) for to in found.topics) == 10_000
    for topic, rows in found.topics:
        assert {f"projects/p/topics/t{number:03d}" for number in chosen[rows]} == {topic}
        assert (np.diff(rows) > 0).all()
