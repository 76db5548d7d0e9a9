"""What a function makes of a few messages, for a reader that looks for their event times."""

import pickle
from functools import partial

import pyarrow as pa
import pytest

from connectors.udf import Form, Plan, Sampled, Source
from tests.conftest import message_batch
from transforms import metrics
from transforms.message import MESSAGE, message_column

SCHEMA = pa.schema([("id", pa.string())])
ROW = Source("f.py", "f", "def f(row):\n    return {'id': row['id'] * 2}\n", Form.ROW)
TEXT = Source("f.py", "f", "def f(text: str):\n    return text.split('|')\n", Form.TEXT)


def test_rows_are_parsed_and_then_made() -> None:
    """A message that can't be parsed, or for which the function fails, has no row."""
    rows = Sampled(ROW, Plan(typed=True), SCHEMA, 1.0)
    found = rows(message_batch([b'{"id": "a"}', b"{", b'{"id": null}', b'{"id": "b"}']))
    assert found.drop([MESSAGE]).to_pylist() == [{"id": "aa"}, {"id": "bb"}]
    assert message_column(found, "message_id").to_pylist() == ["1", "4"]


def test_texts_are_made_and_then_parsed() -> None:
    """Each row has the message that it is of, as it came."""
    rows = Sampled(TEXT, Plan(keep_message=True), SCHEMA, 1.0)
    found = rows(message_batch([b'{"id": "a"}|{"id": "b"}', b"\xff"]))
    assert found.column("id").to_pylist() == ["a", "b"]
    assert message_column(found, "message_id").to_pylist() == ["1", "1"]


@pytest.mark.parametrize("payloads", [[], [b"{"]])
def test_there_may_be_no_row(payloads: list[bytes]) -> None:
    """As for a delivery of no messages."""
    assert len(Sampled(ROW, Plan(typed=True), SCHEMA, 1.0)(message_batch(payloads))) == 0


def test_nothing_is_counted_and_what_opens_it_travels() -> None:
    """A figure would count a message twice; a worker opens its own."""
    told: list[metrics.Metric] = []

    def watcher(metric: metrics.Metric, number: int) -> None:
        del number
        told.append(metric)

    opens = pickle.loads(pickle.dumps(partial(Sampled, ROW, Plan(typed=True), SCHEMA, 1.0)))
    metrics.watch(watcher)
    try:
        assert len(opens()(message_batch([b'{"id": "a"}', b"{"]))) == 1
    finally:
        metrics.unwatch(watcher)
    assert told == []
