"""Health and reflection, as probes and tools use them: of our broker only."""

from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from connectors.broker import schema
from tests.conformance.conftest import is_ours

pytestmark = pytest.mark.integration

CHECK, CHECKED = (schema.message(f"grpc.health.v1.HealthCheck{end}")
                  for end in ("Request", "Response"))  # fmt: skip


@pytest.fixture
def channel(address: str) -> Iterator[grpc.Channel]:
    """Return a channel to the server."""
    if not is_ours(address):
        pytest.skip("it need not have these services")
    with grpc.insecure_channel(address) as channel:
        yield channel


def check(channel: grpc.Channel, service: str) -> Any:
    """Return how a service is."""
    call = channel.unary_unary("/grpc.health.v1.Health/Check", CHECK.SerializeToString,
                               CHECKED.FromString)  # fmt: skip
    return call(CHECK(service=service), timeout=20).status


def test_services_are_serving(channel: grpc.Channel) -> None:
    """All together and each by its name; others are not known."""
    for name in ("", "google.pubsub.v1.Publisher", "google.iam.v1.IAMPolicy"):
        assert check(channel, name) == 1
    with pytest.raises(grpc.RpcError) as refused:
        check(channel, "nonsense")
    assert refused.value.code() == grpc.StatusCode.NOT_FOUND  # type: ignore[attr-defined]


def test_health_can_be_watched(channel: grpc.Channel) -> None:
    """The first answer comes at once."""
    call = channel.unary_stream("/grpc.health.v1.Health/Watch", CHECK.SerializeToString,
                                CHECKED.FromString)  # fmt: skip
    for name, status in (("", 1), ("nonsense", 3)):
        watching = call(CHECK(service=name), timeout=20)
        assert next(watching).status == status
        watching.cancel()


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_reflection_tells_the_definitions(channel: grpc.Channel, version: str) -> None:
    """The services, and of each the file with all that it imports."""
    package = f"grpc.reflection.{version}"
    request, response = (schema.message(f"{package}.ServerReflection{end}")
                         for end in ("Request", "Response"))  # fmt: skip
    call = channel.stream_stream(f"/{package}.ServerReflection/ServerReflectionInfo",
                                 request.SerializeToString, response.FromString)  # fmt: skip
    asked = [
        request(list_services=""),
        request(file_containing_symbol="google.pubsub.v1.Publisher"),
        request(file_containing_symbol="google.pubsub.v1.Topic.State"),
        request(file_by_filename="google/pubsub/v1/pubsub.proto"),
        request(file_by_filename="nonsense"),
        request(file_containing_symbol="nonsense"),
        request(all_extension_numbers_of_type="google.pubsub.v1.Topic"),
        request(),
    ]
    listed, *found = call(iter(asked), timeout=20)
    names = {each.name for each in listed.list_services_response.service}
    assert {"google.pubsub.v1.Subscriber", "grpc.health.v1.Health"} <= names
    files = [each.file_descriptor_response.file_descriptor_proto for each in found[:3]]
    assert files[0] == files[1] == files[2]
    imported = {name for name in ("descriptor", "duration", "timestamp", "schema")
                if any(f"{name}.proto".encode() in file for file in files[0])}  # fmt: skip
    assert {"duration", "timestamp", "schema"} <= imported
    assert [each.error_response.error_code for each in found[3:]] == [5, 5, 5, 3]
    assert [each.original_request for each in (listed, *found)] == asked
