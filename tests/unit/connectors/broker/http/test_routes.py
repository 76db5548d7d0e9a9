"""Paths of the REST API: as the stock client calls them."""

import re

import pytest
from google.pubsub_v1.services.publisher.transports.rest_base import _BasePublisherRestTransport
from google.pubsub_v1.services.schema_service.transports.rest_base import (
    _BaseSchemaServiceRestTransport,
)
from google.pubsub_v1.services.subscriber.transports.rest_base import _BaseSubscriberRestTransport

from connectors.broker import schema
from connectors.broker.http.routes import ROUTES, match

PROJECT, NAME = "projects/example.com:my-p", "x%2Byz@1"


def calls_of_the_client() -> list[tuple[str, str, str, str, str]]:
    """Return method, verb, path with names in it, field of the name and body, as Google has it."""
    found = []
    for transport in (
        _BasePublisherRestTransport, _BaseSubscriberRestTransport, _BaseSchemaServiceRestTransport,
    ):  # fmt: skip
        for name, stub in vars(transport).items():
            if name.startswith("_Base") and hasattr(stub, "_get_http_options"):
                found += [(name[5:], *call(option)) for option in stub._get_http_options()]
    return found


def call(option: dict[str, str]) -> tuple[str, str, str, str]:
    field, pattern = re.search(r"\{([a-z.]+)=(.*)\}", option["uri"]).groups()
    name = pattern.replace("projects/*", PROJECT).replace("*", NAME)
    path = re.sub(r"\{.*\}", lambda _: name, option["uri"])
    return option["method"].upper(), path, field, option.get("body", "")


@pytest.mark.parametrize(("method", "verb", "path", "field", "body"), calls_of_the_client())
def test_calls_of_the_stock_client_are_found(
    method: str, verb: str, path: str, field: str, body: str
) -> None:
    """Every verb and path leads to its method, and the name in the path is decoded."""
    found = match(verb, path)
    assert found is not None
    assert (found.route.method, found.route.field, found.route.body) == (method, field, body)
    assert found.resource.startswith(PROJECT)
    assert NAME not in path or found.resource.endswith("/x+yz@1")


def test_every_unary_method_of_the_api_has_a_path() -> None:
    """What gRPC offers is offered over HTTP too; only a stream can't be."""
    services = ("Publisher", "Subscriber", "SchemaService")
    wanted = {
        (service.full_name, method.name)
        for service in (
            *(schema.service(f"google.pubsub.v1.{name}") for name in services),
            schema.service("google.iam.v1.IAMPolicy"),
        )
        for method in service.methods
        if method.name != "StreamingPull"
    }
    assert {(route.service, route.method) for route in ROUTES} == wanted


@pytest.mark.parametrize(("verb", "path"), [
    ("POST", "/v1/projects/p/topics/t"), ("GET", "/v1/projects/p/topics/t:publish"),
    ("GET", "/v1/projects/p/topics/t/subscriptions/s"), ("GET", "/v1/projects/p"),
    ("GET", "/v1/topics/t"), ("GET", "/v2/projects/p/topics"), ("PUT", "/v1/projects//topics/t"),
    ("POST", "/v1/projects/p/topics/t:publish:publish"), ("OPTIONS", "/v1/projects/p/topics"),
])  # fmt: skip
def test_other_paths_lead_nowhere(verb: str, path: str) -> None:
    """A path that is no method's is not taken for one."""
    assert match(verb, path) is None
