"""Intake: each message enters a run once, and none that is committed already."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.identity import IDENTITY_SCHEMA
from connectors.pubsub.delivery import NOTHING
from connectors.pubsub.intake import Intake
from tests.conftest import message_batch
from transforms import metrics
from transforms.batch import Batch
from transforms.message import MESSAGE_ID, PUBLISH_TIME

NO_MESSAGES = IDENTITY_SCHEMA.empty_table()


def delivered(*numbers: int) -> Batch:
    """Return messages with these ids."""
    return Batch.concat([message_batch([b"x"], number) for number in numbers])


def committed(*numbers: int) -> pa.Table:
    """Return the identities of the messages with these ids."""
    batches = [message_batch([b"x"], number).rows for number in numbers]
    table = pa.Table.from_batches(batches) if batches else NO_MESSAGES
    return table.select(IDENTITY_SCHEMA.names)


def published_later(messages: Batch) -> Batch:
    """Return messages with the same ids from a server that has started anew."""
    later = [
        time + dt.timedelta(microseconds=1) for time in messages.column(PUBLISH_TIME).to_pylist()
    ]
    return messages.with_column(PUBLISH_TIME, pa.array(later, IDENTITY_SCHEMA.field(1).type))


def ids(messages: Batch | pa.Table) -> list[str]:
    """Return the ids of the messages."""
    return messages.column(MESSAGE_ID).to_pylist()


@pytest.fixture
def counted() -> Iterator[dict[str, int]]:
    """Count what the metrics are told."""
    counts: dict[str, int] = {}

    def watcher(metric: metrics.Metric, amount: int) -> None:
        counts[metric.name] = counts.get(metric.name, 0) + amount

    metrics.watch(watcher)
    yield counts
    metrics.unwatch(watcher)


def test_each_message_enters_once(counted: dict[str, int]) -> None:
    """What was delivered before, or twice in one batch, is dropped and counted apart."""
    intake = Intake(NO_MESSAGES)
    first = intake.admit(delivered(1, 2, 2))
    second = intake.admit(delivered(2, 3, 1))
    assert ids(first) == ["1", "2"]
    assert ids(second) == ["3"]
    assert intake.held == 3
    assert intake.messages() == committed(1, 2, 3)
    assert counted == {"messages_read": 3, "messages_redelivered": 3}


def test_committed_messages_are_held_but_do_not_enter(counted: dict[str, int]) -> None:
    """A message that an earlier run has committed is ours to acknowledge, not to process."""
    intake = Intake(committed(1, 9))
    assert ids(intake.admit(delivered(1, 2))) == ["2"]
    assert len(intake.admit(delivered(1, 2))) == 0
    assert intake.held == 2
    assert intake.messages() == committed(2)
    assert counted == {"messages_read": 1, "messages_redelivered": 3}


def test_an_id_that_a_new_server_gives_out_again_is_a_new_message(
    counted: dict[str, int],
) -> None:
    """The same id at another publish time enters, whatever this run or an earlier one has seen."""
    intake = Intake(committed(1, 2))
    old = delivered(1, 2, 3)
    assert ids(intake.admit(old)) == ["3"]
    new = published_later(old)
    assert intake.admit(new) == new
    assert len(intake.admit(Batch.concat([new, old]))) == 0
    assert intake.held == 6
    assert ids(intake.messages()) == ["3", "1", "2", "3"]
    assert counted == {"messages_read": 4, "messages_redelivered": 8}


def test_an_intake_of_nothing_has_no_messages() -> None:
    """Before the first delivery and after empty ones there are none, of the right types."""
    intake = Intake(NO_MESSAGES)
    assert intake.messages() == NO_MESSAGES
    intake.admit(NOTHING)
    assert intake.messages() == NO_MESSAGES


def test_identities_do_not_keep_payloads_alive() -> None:
    """Messages are remembered to the end of the run, and the responses they came in are not."""
    sink = pa.BufferOutputStream()
    rows = message_batch([b"x" * 100_000] * 3).rows
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_batch(rows)
    response = sink.getvalue()
    intake = Intake(NO_MESSAGES)
    intake.admit(Batch(pa.ipc.open_stream(response).read_next_batch()))
    inside = range(response.address, response.address + response.size)
    buffers = [
        buffer
        for column in intake.messages().columns
        for chunk in column.chunks
        for buffer in chunk.buffers()
        if buffer
    ]
    assert buffers
    assert not any(buffer.address in inside for buffer in buffers)


def test_ids_that_are_no_numbers_are_compared() -> None:
    """Nothing is assumed of ids: any text is told from any other."""
    intake = Intake(NO_MESSAGES)
    batch = delivered(1, 2, 3)
    named = batch.with_column(MESSAGE_ID, pa.array(["b", "07", "a"]))
    assert intake.admit(named) == named
    assert len(intake.admit(named)) == 0
    assert ids(intake.admit(batch)) == ["1", "2", "3"]


BATCHES = st.lists(st.lists(st.integers(1, 12), min_size=1, max_size=6), max_size=12)


@given(st.lists(st.integers(1, 12), max_size=6, unique=True), BATCHES, st.booleans())
def test_intake_is_a_set(earlier: list[int], batches: list[list[int]], sort: bool) -> None:
    """In whatever order and how often messages come, it lets through what a set would."""
    intake, known, held = Intake(committed(*earlier)), set(earlier), set()
    admitted = []
    for numbers in sorted(batches) if sort else batches:
        fresh = [n for i, n in enumerate(numbers) if n not in known and n not in numbers[:i]]
        assert ids(intake.admit(delivered(*numbers))) == [str(number) for number in fresh]
        known.update(numbers)
        held.update(numbers)
        admitted += fresh
        assert intake.held == len(held)
    assert ids(intake.messages()) == [str(number) for number in admitted]
