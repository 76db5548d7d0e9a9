"""Google Cloud Pub/Sub, and every server that speaks its API.

from connectors import pubsub

    messages = pipeline | pubsub.Read(subscription="projects/p/subscriptions/s")
    written = messages | pubsub.Write("projects/p/topics/t")
"""

from connectors.pubsub.admin import create_subscription, create_topic, delete_subscription
from connectors.pubsub.outgoing import as_messages
from connectors.pubsub.publish import Published, Publisher
from connectors.pubsub.read import Read
from connectors.pubsub.watermark import EventTime, PublishTime, Watermark
from connectors.pubsub.write import Write, Written

__all__ = [
    "EventTime",
    "PublishTime",
    "Published",
    "Publisher",
    "Read",
    "Watermark",
    "Write",
    "Written",
    "as_messages",
    "create_subscription",
    "create_topic",
    "delete_subscription",
]
