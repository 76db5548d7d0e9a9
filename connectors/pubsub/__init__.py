"""Google Cloud Pub/Sub, and every server that speaks its API.

from connectors import pubsub

    messages = pipeline | pubsub.Read(subscription="projects/p/subscriptions/s")
    written = messages | pubsub.Write("projects/p/topics/t")
"""

from connectors.pubsub.admin import (
    create_subscription,
    create_topic,
    delete_subscription,
    refuse_circle,
)
from connectors.pubsub.outgoing import as_messages
from connectors.pubsub.outlet import Missing
from connectors.pubsub.pace import AsPublished, Pace, Paced, Rate
from connectors.pubsub.publish import Published, Publisher, Publishers
from connectors.pubsub.read import Read
from connectors.pubsub.routes import Route
from connectors.pubsub.watermark import EventTime, PublishTime, Watermark
from connectors.pubsub.write import Attributes, Write, Written

__all__ = [
    "AsPublished",
    "Attributes",
    "EventTime",
    "Missing",
    "Pace",
    "Paced",
    "PublishTime",
    "Published",
    "Publisher",
    "Publishers",
    "Rate",
    "Read",
    "Route",
    "Watermark",
    "Write",
    "Written",
    "as_messages",
    "create_subscription",
    "create_topic",
    "delete_subscription",
    "refuse_circle",
]
