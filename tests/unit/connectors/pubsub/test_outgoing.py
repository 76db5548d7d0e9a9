"""What is published: limits and requests."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from connectors.pubsub.outgoing import as_messages, broken_limits, plan_requests
from transforms.batch import Batch
from transforms.message import MESSAGE_SCHEMA

ATTRIBUTES = MESSAGE_SCHEMA.field("attributes").type


def outgoing(
    data: list[bytes | None],
    attributes: list[list[tuple[str, str]] | None] | None = None,
    keys: list[str | None] | None = None,
) -> Batch:
    """Return messages to be published."""
    return as_messages(
        pa.array(data, pa.binary()),
        None if attributes is None else pa.array(attributes, ATTRIBUTES),
        None if keys is None else pa.array(keys, pa.string()),
    )


def plan(messages: Batch, rows: list[int] | None = None) -> list[list[list[int]]]:
    """Return the chains as plain lists."""
    chosen = np.arange(len(messages)) if rows is None else np.array(rows, np.int64)
    return [[request.tolist() for request in chain] for chain in plan_requests(messages, chosen)]


def test_columns_become_messages() -> None:
    """Text is sent as its bytes; what is not given is null."""
    batch = as_messages(pa.array(["ä", "b"]))
    assert batch.schema == MESSAGE_SCHEMA
    assert batch.column("data").to_pylist() == ["ä".encode(), b"b"]
    assert batch.column("attributes").null_count == 2


@pytest.mark.parametrize(
    ("data", "attributes", "key", "kind"),
    [
        (b"x", None, None, None),
        (None, [("k", "")], None, None),
        (b"", [], "", "empty_message"),
        (None, None, "key", "empty_message"),
        (b"x" * 10_000_000, None, None, None),
        (b"x" * 10_000_001, None, None, "message_too_large"),
        (b"x" * 9_999_999, [("k", "v")], None, "message_too_large"),
        (b"x", [(f"k{i}", "v") for i in range(100)], None, None),
        (b"x", [(f"k{i}", "v") for i in range(101)], None, "too_many_attributes"),
        (b"x", [("k" * 256, "v" * 1_024)], "o" * 1_024, None),
        (b"x", [("", "v")], None, "attribute_key_empty"),
        (b"x", [("ok", "v"), ("k" * 257, "v")], None, "attribute_key_too_long"),
        (b"x", [("ä" * 129, "v")], None, "attribute_key_too_long"),
        (b"x", [("ok", "v"), ("k", "v" * 1_025)], None, "attribute_value_too_long"),
        (b"x", None, "o" * 1_025, "ordering_key_too_long"),
    ],
)  # fmt: skip
def test_limits(
    data: bytes | None, attributes: list[tuple[str, str]] | None, key: str | None, kind: str | None
) -> None:
    """Each limit holds at its last good value, among good messages and in a slice."""
    good = (b"good", [("a", "b")], "k")
    table = [(b"", [], ""), good, (data, attributes, key), good]
    messages = outgoing(*(list(column) for column in zip(*table, strict=True))).slice(1)
    found = {row: reason[0] for row, reason in broken_limits(messages).items()}
    assert found == ({} if kind is None else {1: kind})


def test_nothing_to_publish_is_no_request() -> None:
    """No rows, no chains; also when rows exist but none is chosen."""
    assert plan(outgoing([])) == []
    assert plan(outgoing([b"a"]), rows=[]) == []


def test_requests_without_key_are_independent() -> None:
    """At most 1,000 messages go into a request, and requests need not wait for each other."""
    chains = plan(outgoing([b"x"] * 2_500))
    assert [[len(request) for request in chain] for chain in chains] == [[1_000], [1_000], [500]]
    assert [row for chain in chains for row in chain[0]] == list(range(2_500))


def test_requests_stay_below_ten_megabytes() -> None:
    """Large messages make small requests, counted as encoded."""
    chains = plan(outgoing([b"x" * 3_333_333] * 4))
    assert [chain[0] for chain in chains] == [[0, 1], [2, 3]]


def test_an_ordering_key_is_a_chain_in_order() -> None:
    """A request has one key; the requests of a key follow the order of the rows."""
    keys = ["b", None, "a", "b", "", "a"]
    chains = plan(outgoing([b"x"] * 6, keys=keys))
    assert sorted(chains) == [[[0, 3]], [[1, 4]], [[2, 5]]]
    long = plan(outgoing([b"x"] * 2_001, keys=["k"] * 2_001))
    assert [[len(request) for request in chain] for chain in long] == [[1_000, 1_000, 1]]
    assert [row for request in long[0] for row in request] == list(range(2_001))


def test_only_chosen_rows_are_planned() -> None:
    """Rows that were rejected before are in no request; the others keep their numbers."""
    keys = ["k", "k", None, "k", None]
    assert sorted(plan(outgoing([b"x"] * 5, keys=keys), rows=[1, 2, 3])) == [[[1, 3]], [[2]]]
