"""Whatever a client sends, it is answered or refused: no request is the broker's undoing."""

import asyncio
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.broker import schema
from connectors.broker.engine import Engine
from connectors.broker.errors import Refusal
from connectors.broker.service import Router

SERVICES = ("google.pubsub.v1.Publisher", "google.pubsub.v1.Subscriber",
            "google.pubsub.v1.SchemaService", "google.iam.v1.IAMPolicy")  # fmt: skip
METHODS = {
    f"/{name}/{method.name}": schema.message(method.input_type.full_name)
    for name in SERVICES
    for method in schema.service(name).methods
    if not method.client_streaming
}
KINDS = ("topics", "subscriptions", "snapshots", "schemas")
NAMES = [f"projects/p/{kind}/{ident}" for kind in KINDS for ident in ("abc", "def")]
TEXTS = [
    *NAMES, "", "projects/p", "_deleted-topic_", "abc", "a b", "attributes:a", "\x00", "é" * 300,
    "roles/pubsub.viewer", "allUsers", "pubsub.topics.get", "labels", "push_config.push_endpoint",
    "schema_settings", "expire_time", "https://127.0.0.1:9/x", "https://[", "v1", "x-goog-version",
    '"string"', '{"type": "record"}', "f", "function f(m) { return m; }", "x" * 10_000,
]  # fmt: skip
NUMBERS = [0, 1, 2, 3, 10, 600, 604_800, 2_678_400, 999_999_999, -1, 2**31 - 1, -(2**31)]
LONG = [*NUMBERS, 2**63 - 1, -(2**63), 253_402_300_800, 315_576_000_001]
VALUES = {
    "string": st.sampled_from(TEXTS),
    "bytes": st.sampled_from([b"", b"\x00\x20\x01", b"\xff", b"x" * 100]),
    "bool": st.booleans(),
    "int32": st.sampled_from(NUMBERS),
    "int64": st.sampled_from(LONG),
}


def messages(kind: Any, depth: int = 4) -> st.SearchStrategy[dict[str, Any]]:
    """Return a strategy for the fields of a message, often those that name something."""
    fields = [each for each in kind.fields if depth or each.message_type is None]
    return st.fixed_dictionaries({}, optional={each.name: field(each, depth) for each in fields})


def field(described: Any, depth: int) -> st.SearchStrategy[Any]:
    """Return a strategy for a field."""
    nested = described.message_type
    if nested is not None and nested.GetOptions().map_entry:
        return st.dictionaries(VALUES["string"], VALUES["string"], max_size=2)
    if nested is not None:
        one: st.SearchStrategy[Any] = messages(nested, depth - 1)
    elif described.enum_type is not None:
        one = st.sampled_from([0, 1, 2, 3, 99])
    else:
        names = {described.TYPE_STRING: "string", described.TYPE_BYTES: "bytes",
                 described.TYPE_BOOL: "bool", described.TYPE_INT32: "int32",
                 described.TYPE_INT64: "int64"}  # fmt: skip
        one = VALUES[names[described.type]]
    return st.lists(one, max_size=3) if described.is_repeated else one


@st.composite
def calls(draw: st.DrawFn) -> tuple[str, bytes]:
    """Return a method and a request, as bytes."""
    method = draw(st.sampled_from(sorted(METHODS)))
    kind = METHODS[method]
    if method.endswith("/Pull"):
        request = kind(subscription=draw(st.sampled_from(NAMES)), return_immediately=True,
                       max_messages=draw(VALUES["int32"]))  # fmt: skip
    else:
        request = kind(**draw(messages(kind.DESCRIPTOR)))
    return method, request.SerializeToString()


CREATED = [
    ("/google.pubsub.v1.Publisher/CreateTopic", {"name": NAMES[0]}),
    ("/google.pubsub.v1.Subscriber/CreateSubscription", {"name": NAMES[2], "topic": NAMES[0]}),
    ("/google.pubsub.v1.Subscriber/CreateSnapshot", {"name": NAMES[4], "subscription": NAMES[2]}),
]


async def call(router: Router, method: str, request: bytes) -> None:
    """Call a method; a refusal is an answer, any other exception is the failure."""
    with suppress(Refusal):
        await router.call(method, request)


async def run(directory: Path, requests: list[tuple[str, bytes]]) -> None:
    """Call a broker that has something to be asked for; then open it again."""
    engine = Engine(directory)
    router = Router(engine)
    for method, fields in CREATED:
        await router.call(method, METHODS[method](**fields).SerializeToString())
    for method, request in requests:
        await call(router, method, request)
    before = engine.state.checkpoint()
    await engine.close()
    engine = Engine(directory)
    after = engine.state.checkpoint()
    await engine.close()
    assert [each.settings for each in after.topics] == [each.settings for each in before.topics]
    assert {each.name: each.value for each in after.documents} == {
        each.name: each.value for each in before.documents
    }


@pytest.mark.timeout(280)
@settings(max_examples=60)
@given(requests=st.lists(calls(), min_size=10, max_size=30))
def test_any_request_is_answered_or_refused(requests: list[tuple[str, bytes]]) -> None:
    """And what came of them is there after a restart."""
    with TemporaryDirectory() as directory:
        asyncio.run(run(Path(directory), requests))
