"""gRPC to the engine and back: method by method, raw bytes on the bulk path.

Requests and responses of Publish, Pull, StreamingPull, Acknowledge and ModifyAckDeadline stay
bytes in gRPC's eyes; ``wire.py`` turns them into Arrow. The resource methods use protocol buffers.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import numpy as np
import pyarrow as pa
from google.protobuf.message import DecodeError

from connectors.broker import ackids, limits, rows, rules, schema, wire
from connectors.broker.batches import Batches
from connectors.broker.catalog import Catalog
from connectors.broker.delivery import Acks, Want
from connectors.broker.engine import Engine
from connectors.broker.errors import InvalidAckIds, InvalidArgument, NotFound, Unsupported
from connectors.broker.statuses import details_of, status_of
from connectors.broker.stream import Stream

__all__ = ["Router"]

Unary = Callable[[bytes], Awaitable[bytes]]

_PREFIXES = ("/google.pubsub.v1.", "/google.iam.v1.")


class Router(grpc.GenericRpcHandler):
    """Finds the handler of a method; known methods without one are refused with a sentence."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._catalog = catalog = Catalog(engine)
        batches = Batches(engine, catalog)
        publisher, subscriber = "/google.pubsub.v1.Publisher/", "/google.pubsub.v1.Subscriber/"
        extension = "/headrace.broker.v1.Batches/"
        unary: dict[str, Unary] = {
            publisher + "CreateTopic": _typed(catalog.create_topic, "Topic"),
            publisher + "GetTopic": _typed(catalog.get_topic, "GetTopicRequest"),
            publisher + "ListTopics": _typed(catalog.list_topics, "ListTopicsRequest"),
            publisher + "ListTopicSubscriptions": _typed(
                catalog.list_topic_subscriptions, "ListTopicSubscriptionsRequest"
            ),
            publisher + "DeleteTopic": _typed(catalog.delete_topic, "DeleteTopicRequest"),
            publisher + "Publish": self._publish,
            subscriber + "CreateSubscription": _typed(catalog.create_subscription, "Subscription"),
            subscriber + "GetSubscription": _typed(
                catalog.get_subscription, "GetSubscriptionRequest"
            ),
            subscriber + "ListSubscriptions": _typed(
                catalog.list_subscriptions, "ListSubscriptionsRequest"
            ),
            subscriber + "DeleteSubscription": _typed(
                catalog.delete_subscription, "DeleteSubscriptionRequest"
            ),
            subscriber + "Pull": self._pull,
            subscriber + "Acknowledge": self._acknowledge,
            subscriber + "ModifyAckDeadline": self._modify_ack_deadline,
            extension + "Lease": batches.lease,
            extension + "Extend": batches.extend,
            extension + "Acknowledge": batches.acknowledge,
            extension + "Release": batches.release,
        }
        self._unary = unary
        self._handlers = {
            name: grpc.unary_unary_rpc_method_handler(_answering(method))
            for name, method in unary.items()
        }
        self._handlers[subscriber + "StreamingPull"] = grpc.stream_stream_rpc_method_handler(
            self._streaming_pull
        )

    def service(self, handler_call_details: Any) -> Any:
        """Return the handler of a call, or None where the method is of no service of ours."""
        method = handler_call_details.method
        if method in self._handlers or not method.startswith(_PREFIXES):
            return self._handlers.get(method)
        return grpc.unary_unary_rpc_method_handler(_answering(_unsupported(method)))

    async def call(self, method: str, request: bytes) -> bytes:
        """Answer a unary call from inside, such as one that came over HTTP.

        Args:
            method: full name, such as ``/google.pubsub.v1.Publisher/Publish``.
            request: as on the wire.

        Raises:
            Refusal: the request is refused.
        """
        return await self._unary.get(method, _unsupported(method))(request)

    async def _publish(self, request: bytes) -> bytes:
        rules.check_publish_size(request)
        fields = wire.decode("PublishRequest", request)
        topic = self._catalog.topic(fields["topic"])
        rules.check_messages(fields["messages"])
        message_ids = await self._engine.publish(topic, fields["messages"])
        if message_ids is None:
            raise NotFound(f"Topic {fields['topic']} was deleted meanwhile; nothing was published.")
        return wire.encode_publish(message_ids)

    async def _pull(self, request: bytes) -> bytes:
        fields = wire.decode("PullRequest", request)
        subscription = self._catalog.subscription(fields["subscription"])
        rules.check_positive("max_messages", fields["max_messages"])
        want = Want(
            min(fields["max_messages"], limits.PULL_MESSAGES_MAX),
            limits.RESPONSE_BYTES_MAX,
            subscription.settings.ack_deadline_s,
        )
        wait_s = 0.0 if fields["return_immediately"] else limits.PULL_WAIT_S
        delivery = await self._engine.delivery.lease_within(wait_s, subscription, want)
        return wire.encode_delivery(subscription.uid, delivery) if delivery else b""

    async def _acknowledge(self, request: bytes) -> bytes:
        rules.check_ack_size(request)
        fields = wire.decode("AcknowledgeRequest", request)
        subscription = self._catalog.subscription(fields["subscription"])
        rules.check_ack_ids(fields["ack_ids"])
        positions, generations = ackids.parse(fields["ack_ids"], subscription.uid)
        acks = await self._engine.delivery.ack(subscription, positions, generations)
        _check_counted(fields["ack_ids"], acks)
        return b""

    async def _modify_ack_deadline(self, request: bytes) -> bytes:
        rules.check_ack_size(request)
        fields = wire.decode("ModifyAckDeadlineRequest", request)
        subscription = self._catalog.subscription(fields["subscription"])
        rules.check_ack_ids(fields["ack_ids"])
        rules.check_extension_s("ack_deadline_seconds", fields["ack_deadline_seconds"])
        positions, generations = ackids.parse(fields["ack_ids"], subscription.uid)
        seconds = fields["ack_deadline_seconds"]
        held = self._engine.delivery.extend(subscription, positions, generations, seconds)
        if subscription.settings.exactly_once:
            _check_counted(fields["ack_ids"], Acks(~held, np.zeros(held.size, np.bool_)))
        return b""

    async def _streaming_pull(self, _requests: Any, context: Any) -> None:
        try:
            await Stream(self._engine, self._catalog, context).run()
        except Exception as error:  # noqa: BLE001 - all that is no refusal is our own fault
            await _abort(context, error)


def _check_counted(ack_ids: pa.StringArray, acks: Acks) -> None:
    """Refuse a request some of whose ids did not count."""
    if acks.invalid.any() or acks.unordered.any():
        raise InvalidAckIds(
            rows.where(ack_ids, acks.invalid).to_pylist(),
            rows.where(ack_ids, acks.unordered).to_pylist(),
        )


def _answering(method: Unary) -> Callable[[bytes, Any], Awaitable[bytes]]:
    """Turn refusals into gRPC statuses."""

    async def answer(request: bytes, context: Any) -> bytes:
        try:
            return await method(request)
        except Exception as error:  # noqa: BLE001 - all that is no refusal is our own fault
            return await _abort(context, error)

    return answer


async def _abort(context: Any, error: Exception) -> Any:
    """End a call with the status of what has gone wrong."""
    return await context.abort(*status_of(error), details_of(error))


def _typed(method: Callable[[Any], Awaitable[Any]], request_type: str) -> Unary:
    """Let a method of the catalog take and return bytes."""
    parse = schema.message(request_type).FromString

    async def call(request: bytes) -> bytes:
        try:
            message = parse(request)
        except DecodeError as error:
            raise InvalidArgument("request", f"{len(request)} bytes", f"{error}") from None
        return (await method(message)).SerializeToString()

    return call


def _unsupported(method: str) -> Unary:
    async def refuse(_request: bytes) -> bytes:
        name = method.rpartition("/")[2]
        raise Unsupported(f"{name} is not supported by this broker yet.")

    return refuse
