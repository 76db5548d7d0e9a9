"""Opens a subscription: which wire, which deadline, which errors."""

from __future__ import annotations

import contextlib
import logging
from typing import NamedTuple

import grpc
import pyarrow as pa

from connectors import retry
from connectors.clients import open_channel, pubsub_endpoint
from connectors.pubsub import admin, names
from connectors.pubsub.batch_leases import BatchLeases
from connectors.pubsub.delivery import Subscription
from connectors.pubsub.source import PubsubSource
from connectors.pubsub.standard_pull import StandardPull
from transforms.errors import HeadraceError

__all__ = ["Connection", "connect", "open_subscription", "subscribe", "unsubscribe"]

_log = logging.getLogger(__name__)


def subscribe(topic: str, closing: contextlib.ExitStack) -> str:
    """Create a temporary subscription of a topic; ``closing`` deletes it.

    Raises:
        ConfigError: there is no such topic, or access is denied.
        TransientError: the server can't be reached.
    """
    name = names.temporary_subscription(topic)
    admin.create_subscription(name, topic)
    closing.callback(unsubscribe, name)
    return name


class Connection(NamedTuple):
    """A subscription that was reached."""

    subscription: Subscription
    subject: retry.Subject
    ack_deadline_s: int


def open_subscription(
    name: str, committed: pa.Table, backoff: retry.Backoff, closing: contextlib.ExitStack
) -> PubsubSource:
    """Connect to a subscription and start to hold its leases.

    Args:
        name: full name.
        committed: messages that earlier runs have committed.
        backoff: how long an outage of the server is sat out, once it was reached.
        closing: closes the channel.

    Raises:
        ConfigError: there is no such subscription, or access is denied.
        TransientError: the server can't be reached.
    """
    wire, subject, ack_deadline_s = connect(name, closing)
    return PubsubSource(
        name, wire, subject,
        ack_deadline_s=ack_deadline_s, committed=committed, backoff=backoff,
    )  # fmt: skip


def connect(name: str, closing: contextlib.ExitStack) -> Connection:
    """Connect to a subscription; ``closing`` closes the channel.

    Raises:
        ConfigError: there is no such subscription, or access is denied.
        TransientError: the server can't be reached.
    """
    endpoint = pubsub_endpoint()
    subject = admin.subscription_subject(name, endpoint)
    channel = closing.enter_context(open_channel(endpoint))
    # The subscription's own ack deadline is the one in use: its owner can change it, and whatever
    # a reader that died had taken is back after this time.
    ack_deadline_s = admin.get_subscription(channel, name, subject).ack_deadline_seconds
    wire = _choose_wire(channel, name, ack_deadline_s, subject)
    return Connection(wire, subject, ack_deadline_s)


def unsubscribe(name: str) -> None:
    """Delete a temporary subscription; if that fails, the server does it after a month."""
    try:
        admin.delete_subscription(name)
    except HeadraceError as error:
        _log.warning("%s is left for the server to delete: %s", name, error)


def _choose_wire(
    channel: grpc.Channel, name: str, ack_deadline_s: int, subject: retry.Subject
) -> Subscription:
    batch_leases = BatchLeases(channel, name, ack_deadline_s)
    if retry.call(batch_leases.is_offered, subject, admin.CONNECT_BACKOFF):
        return batch_leases
    return StandardPull(channel, name, ack_deadline_s)
