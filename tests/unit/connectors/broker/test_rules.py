"""The rules for published messages: each limit at its edge, and the sentence of each refusal."""

from typing import Any

import pyarrow as pa
import pytest

from connectors.broker import limits, rules, schema, wire
from connectors.broker.errors import InvalidArgument


def decoded(*messages: dict[str, Any]) -> pa.StructArray:
    """Return messages as the broker decodes them."""
    request = schema.message("PublishRequest")(topic="t", messages=messages)
    return wire.decode("PublishRequest", request.SerializeToString())["messages"]


@pytest.mark.parametrize("message", [
    {"data": b"x"},
    {"attributes": {"k": ""}},
    {"data": b"x", "attributes": {f"k{n}": "v" for n in range(limits.ATTRIBUTES_MAX)}},
    {"data": b"x", "attributes": {"k" * limits.ATTRIBUTE_KEY_BYTES_MAX: "v"}},
    {"data": b"x", "attributes": {"k": "é" * (limits.ATTRIBUTE_VALUE_BYTES_MAX // 2)}},
    {"data": b"x", "ordering_key": "k" * limits.ORDERING_KEY_BYTES_MAX},
])  # fmt: skip
def test_message_at_the_limit_passes(message: dict[str, Any]) -> None:
    """A limit is inclusive, and counts bytes."""
    other = {"data": b"other", "ordering_key": message.get("ordering_key", "")}
    rules.check_messages(decoded(other, message))


@pytest.mark.parametrize(("message", "sentence"), [
    ({}, r"data \(b''\): a message needs data or at least one attribute"),
    ({"data": b"x", "attributes": {f"k{n}": "" for n in range(101)}}, r"\(101\).* at most 100"),
    ({"data": b"x", "attributes": {"k" * 257: "v"}}, "at most 256 bytes"),
    ({"data": b"x", "attributes": {"é" * 129: "v"}}, "at most 256 bytes"),
    ({"data": b"x", "attributes": {"": "v"}}, "may not be empty"),
    ({"data": b"x", "attributes": {"google": "v"}}, r"\('google'\).*start with goog"),
    ({"data": b"x", "attributes": {"k": "v" * 1_025}}, "at most 1024 bytes"),
    ({"data": b"x", "ordering_key": "k" * 1_025}, "at most 1024 bytes"),
    ({"data": b"x", "ordering_key": "k"}, r"\('k'\): all messages of one request carry the same"),
    ({"data": b"x", "message_id": "7"}, r"message_id \('7'\): is set by the server"),
    ({"data": b"x", "publish_time": {"seconds": 1}}, "publish_time .*is set by the server"),
])  # fmt: skip
def test_message_beyond_a_limit_is_refused(message: dict[str, Any], sentence: str) -> None:
    """The sentence names the field, the value and the rule; good messages beside it don't help."""
    with pytest.raises(InvalidArgument, match=sentence):
        rules.check_messages(decoded({"data": b"good"}, message, {"data": b"good"}))


@pytest.mark.parametrize("count", [0, limits.PUBLISH_MESSAGES_MAX + 1])
def test_number_of_messages_is_limited(count: int) -> None:
    """A request has 1 to 1,000 messages."""
    with pytest.raises(InvalidArgument, match=f"{count} given"):
        rules.check_messages(decoded(*({"data": b"x"},) * count))


def test_size_of_a_request_is_limited() -> None:
    """10 MB pass, a byte more does not."""
    rules.check_publish_size(bytes(limits.PUBLISH_BYTES_MAX))
    with pytest.raises(InvalidArgument, match=r"10000001 bytes.*at most 10000000"):
        rules.check_publish_size(bytes(limits.PUBLISH_BYTES_MAX + 1))


def test_deadlines_are_limited() -> None:
    """A lease begins with 10 to 600 s; later 0 to 600 are fine."""
    rules.check_lease_s("f", 10)
    rules.check_extension_s("f", 0)
    for value in (9, 601, float("nan")):
        with pytest.raises(InvalidArgument, match="must be 10 to 600"):
            rules.check_lease_s("f", value)
    for value in (-1, 601):
        with pytest.raises(InvalidArgument, match="must be 0 to 600"):
            rules.check_extension_s("f", value)
