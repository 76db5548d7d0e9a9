"""What is asked before anything is made: whether the services that the flags name answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from connectors import dead_letter, pubsub, udf
from connectors.clients import (
    Endpoint,
    bigquery_endpoint,
    bigquery_storage_endpoint,
    pubsub_endpoint,
    storage_endpoint,
)
from connectors.pubsub import admin
from connectors.reachable import unreachable
from pipelines.named_outputs import OUTPUTS
from pipelines.params import Spec, specs
from transforms.errors import TransientError

__all__ = ["require_services", "require_storage", "services"]


class Service(NamedTuple):
    """A service of Google, or a local server in its place."""

    name: str
    endpoints: tuple[Callable[[], Endpoint], ...]


PUBSUB = Service("Pub/Sub", (pubsub_endpoint,))
STORAGE = Service("Cloud Storage", (storage_endpoint,))
BIGQUERY = Service("BigQuery", (bigquery_endpoint, bigquery_storage_endpoint))


def require_services(params: Any) -> None:
    """Refuse to start where nobody answers: a job that runs is patient, and says so late.

    Raises:
        TransientError: it names the flag, the service and its address.
        ConfigError: an address has no scheme, there are no credentials, or no topic for dead
            letters.
    """
    asked: set[Endpoint] = set()
    for spec, service in services(params):
        for endpoint in (each() for each in service.endpoints):
            if endpoint not in asked:
                asked.add(endpoint)
                _require(f"{spec.flag}={_text(getattr(params, spec.name))}", service.name, endpoint)
    # The step for it comes last, when there are folders already for the steps before.
    target = getattr(params, "dead_letter", None)
    if isinstance(target, dead_letter.Topic):
        admin.refuse_missing(target.name)


def require_storage(given: str) -> None:
    """Refuse to start where Cloud Storage does not answer.

    Args:
        given: the flag that needs it, with its value.

    Raises:
        TransientError: nobody answers.
    """
    _require(given, STORAGE.name, storage_endpoint())


def services(params: Any) -> Iterator[tuple[Spec, Service]]:
    """Yield the parameters that name something of a service, and the service."""
    for spec in specs(type(params)):
        value = getattr(params, spec.name)
        places = [each.target for each in value] if spec.kind is OUTPUTS else [value]
        found = dict.fromkeys(_service(spec, place) for place in places)
        yield from ((spec, service) for service in found if service is not None)


def _text(value: Any) -> str:
    return str(value) if isinstance(value, udf.Source) else str(getattr(value, "text", value))


def _service(spec: Spec, value: Any) -> Service | None:
    text = str(value)
    if isinstance(value, pubsub.Route | dead_letter.Topic | dead_letter.Subscription):
        return PUBSUB
    if text.startswith("gs://"):
        return STORAGE
    if isinstance(value, str) and ("/topics/" in text or "/subscriptions/" in text):
        return PUBSUB if text.startswith("projects/") else None
    is_table = "TABLE" in spec.kind.name.split("|") and not isinstance(value, dead_letter.Folder)
    return BIGQUERY if is_table and value is not None else None


def _require(given: str, service: str, endpoint: Endpoint) -> None:
    reason = unreachable(endpoint)
    if reason is not None:
        raise TransientError(
            f"{given}: {service} does not answer at {endpoint.address} ({reason}). "
            f"{endpoint.advice}"
        )
