"""Metrics in Prometheus' text format, under the names that Cloud Monitoring gives them in PromQL.

So a dashboard or an alert for the real service works here: ``pubsub.googleapis.com/subscription/
num_undelivered_messages`` is ``pubsub_googleapis_com:subscription_num_undelivered_messages``, with
the labels ``project_id`` and ``subscription_id``. What the service does not have begins with
``headrace_broker_``. Counters begin at zero when the broker starts.

https://cloud.google.com/monitoring/api/metrics_gcp_p_z#gcp-pubsub has the names,
https://cloud.google.com/monitoring/promql/promql-mapping how they map.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from connectors.broker import overview
from connectors.broker.counters import SubscriptionCounts, TopicCounts
from connectors.broker.engine import Engine
from connectors.broker.state import Subscription

__all__ = ["CONTENT_TYPE", "METRICS", "Metric", "exposition"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_SERVICE = "pubsub_googleapis_com:"
_OWN = "headrace_broker_"


class Metric(NamedTuple):
    """A metric and where its value is."""

    name: str
    kind: str
    """``gauge``, ``counter`` or ``summary``, whose value is sum and count."""
    meaning: str
    value: Callable[..., Any]
    label: str = ""
    """Of a counter whose values are by a further label: its name."""


def _gauge(name: str, meaning: str, value: Callable[[Subscription], int]) -> Metric:
    return Metric(_SERVICE + "subscription_" + name, "gauge", meaning, lambda s, _: value(s))


def _count(name: str, meaning: str, value: Callable[[SubscriptionCounts], int]) -> Metric:
    return Metric(name, "counter", meaning, lambda _, counts: value(counts))


_OF_SUBSCRIPTION = (
    _gauge("num_undelivered_messages", "Messages that are not acknowledged.", overview.unacked),
    _gauge(
        "oldest_unacked_message_age",
        "Age of the oldest message that is not acknowledged, seconds; 0 without one.",
        overview.age_s,
    ),
    _gauge(
        "num_outstanding_messages",
        "Messages that are with a subscriber; the service counts them for push alone.",
        overview.outstanding,
    ),
    Metric(
        _SERVICE + "subscription_open_streaming_pulls",
        "gauge",
        "StreamingPull calls that are open.",
        lambda _, counts: counts.open_streams,
    ),
    _count(
        _SERVICE + "subscription_sent_message_count",
        "Messages sent to subscribers, again and again counted.",
        lambda counts: counts.sent,
    ),
    _count(
        _SERVICE + "subscription_ack_message_count",
        "Messages acknowledged.",
        lambda counts: counts.acked,
    ),
    _count(
        _SERVICE + "subscription_nack_requests",
        "Messages given back by a deadline of 0.",
        lambda counts: counts.nacked,
    ),
    _count(
        _SERVICE + "subscription_mod_ack_deadline_message_count",
        "Messages whose deadline was moved, those given back included.",
        lambda counts: counts.extended,
    ),
    _count(
        _SERVICE + "subscription_expired_ack_deadlines_count",
        "Messages whose deadline has passed while a subscriber had them.",
        lambda counts: counts.expired,
    ),
    _count(
        _SERVICE + "subscription_dead_letter_message_count",
        "Messages published to the dead-letter topic.",
        lambda counts: counts.dead_lettered,
    ),
    Metric(
        _SERVICE + "subscription_push_request_count",
        "counter",
        "Push requests, by the `response_class` of their answers.",
        lambda _, counts: counts.pushes,
        "response_class",
    ),
    _count(
        _OWN + "subscription_sent_bytes",
        "Bytes of messages sent to subscribers: data, attributes and ordering key.",
        lambda counts: counts.sent_bytes,
    ),
)


def _of_topic(counts: TopicCounts) -> tuple[int, int]:
    return counts.size_bytes, counts.messages


_OF_TOPIC = (
    Metric(
        _SERVICE + "topic_send_request_count",
        "counter",
        "Publish requests that were accepted.",
        lambda counts: counts.requests,
    ),
    Metric(
        _SERVICE + "topic_message_sizes",
        "summary",
        "Bytes of the messages published; their count is the number of messages.",
        _of_topic,
    ),
)
_OF_BROKER = (
    Metric(
        _OWN + "ready",
        "gauge",
        "1 if the broker takes requests, 0 after a failure of its log.",
        lambda engine, _: int(engine.unready() is None),
    ),
    Metric(_OWN + "topics", "gauge", "Topics.", lambda engine, _: len(engine.state.topics)),
    Metric(
        _OWN + "subscriptions",
        "gauge",
        "Subscriptions.",
        lambda engine, _: len(engine.state.subscriptions),
    ),
    Metric(
        _OWN + "log_bytes",
        "gauge",
        "Bytes of the log on the disk.",
        lambda _, disk: disk.log_bytes,
    ),
    Metric(
        _OWN + "log_segments",
        "gauge",
        "Files of the log.",
        lambda _, disk: disk.segments,
    ),
    Metric(
        _OWN + "disk_free_bytes",
        "gauge",
        "Bytes that are free on the disk of the log.",
        lambda _, disk: disk.free_bytes,
    ),
    Metric(
        _OWN + "log_written_bytes",
        "counter",
        "Bytes written to the log.",
        lambda _, disk: disk.counts.written_bytes,
    ),
    Metric(
        _OWN + "log_sync_seconds",
        "summary",
        "Seconds of waiting for the disk; their count is the number of syncs.",
        lambda _, disk: (disk.counts.sync_s, disk.counts.syncs),
    ),
)
METRICS = (*_OF_SUBSCRIPTION, *_OF_TOPIC, *_OF_BROKER)
"""All metrics there are."""


def exposition(engine: Engine) -> bytes:
    """Return all metrics as text. Its cost grows with topics and subscriptions, not messages."""
    counters, state = engine.counters, engine.state
    subscriptions = [
        (_labels("subscription", name), (each, counters.subscription(each.uid)))
        for name, each in state.subscriptions.items()
    ]
    topics = [
        (_labels("topic", name), (counters.topic(each.uid),)) for name, each in state.topics.items()
    ]
    lines: list[str] = []
    for metrics, series in (
        (_OF_SUBSCRIPTION, subscriptions),
        (_OF_TOPIC, topics),
        (_OF_BROKER, [("", (engine, engine.disk()))]),
    ):
        for metric in metrics:
            lines += _lines(metric, series)
    return "\n".join([*lines, ""]).encode()


def _lines(metric: Metric, series: Iterable[tuple[str, tuple[Any, ...]]]) -> Iterator[str]:
    yield f"# HELP {metric.name} {metric.meaning}"
    yield f"# TYPE {metric.name} {metric.kind}"
    for labels, facts in series:
        value = metric.value(*facts)
        if metric.label:
            for name, count in sorted(value.items()):
                yield f'{metric.name}{labels[:-1]},{metric.label}="{name}"}} {count}'
        elif metric.kind == "summary":
            yield f"{metric.name}_sum{labels} {value[0]}"
            yield f"{metric.name}_count{labels} {value[1]}"
        else:
            yield f"{metric.name}{labels} {value}"


def _labels(kind: str, name: str) -> str:
    """Return the labels of a resource. Ids need no escape, but a project may be named anything."""
    _, project, _, resource_id = name.split("/")
    project = project.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
    return (
        f'{{monitored_resource="pubsub_{kind}",project_id="{project}",{kind}_id="{resource_id}"}}'
    )
