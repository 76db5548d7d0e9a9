"""Refuses what would never end: to publish to the topic that is read."""

from __future__ import annotations

import logging

import apache_beam as beam
from apache_beam.runners.dataflow.dataflow_runner import DataflowRunner

from connectors import pubsub
from connectors.retry import Backoff
from transforms.errors import TransientError

__all__ = ["refuse_circle"]

_log = logging.getLogger(__name__)


def refuse_circle(pipeline: beam.Pipeline, flag: str, topic: str, subscription: str | None) -> None:
    """Refuse a topic that is read; who launches a job on Dataflow need not reach Pub/Sub.

    Args:
        pipeline: that is built.
        flag: that gives the topic.
        topic: that would be published to.
        subscription: that is read; None if none is.

    Raises:
        ConfigError: it is a subscription of that topic.
        TransientError: the server can't be reached.
    """
    if subscription is None:
        return
    if not isinstance(pipeline.runner, DataflowRunner):
        pubsub.refuse_circle(flag, topic, subscription)
        return
    try:
        pubsub.refuse_circle(flag, topic, subscription, Backoff(patience_s=0.0))
    except TransientError as error:
        _log.warning("nobody knows whether %s is the topic that is read: %s", flag, error)
