"""The rules of Pub/Sub resource names, checked before anything is started."""

from __future__ import annotations

import hashlib
import re
import uuid

from transforms.errors import ConfigError

__all__ = ["check_subscription", "check_topic", "job_subscription", "temporary_subscription"]

# https://cloud.google.com/pubsub/docs/pubsub-basics#resource_names
_PATH = re.compile(r"projects/(?P<project>[^/\s]+)/(?P<collection>[a-z]+)/(?P<id>[^/]+)")
_ID = re.compile(r"(?!goog)[A-Za-z][A-Za-z0-9\-_.~+%]{2,254}")
_ID_RULE = (
    "its last part must be 3 to 255 letters, digits or -_.~+%, start with a letter "
    "and not with goog"
)


def check_subscription(parameter: str, name: str) -> None:
    """Accept ``projects/P/subscriptions/S``.

    Raises:
        ConfigError: anything else; it names ``parameter``.
    """
    _check(parameter, name, "subscriptions", "projects/my-project/subscriptions/my-subscription")


def check_topic(parameter: str, name: str) -> None:
    """Accept ``projects/P/topics/T``.

    Raises:
        ConfigError: anything else; it names ``parameter``.
    """
    _check(parameter, name, "topics", "projects/my-project/topics/my-topic")


def temporary_subscription(topic: str) -> str:
    """Return a new name for a subscription in the project of the topic."""
    project = topic.split("/")[1]
    return f"projects/{project}/subscriptions/headrace-{uuid.uuid4().hex}"


def job_subscription(topic: str, job: str, step: str) -> str:
    """Return the name of a job's own subscription of a topic: the same at every launch.

    Args:
        topic: full name; the subscription is in its project.
        job: id of the job.
        step: full label of the step that reads, for a job may read a topic twice.
    """
    told = re.sub(r"[^A-Za-z0-9\-_.~+%]+", "-", job)[:100]
    digest = hashlib.sha256("\0".join((topic, job, step)).encode()).hexdigest()[:16]
    return f"projects/{topic.split('/')[1]}/subscriptions/headrace-{told}-{digest}"


def _check(parameter: str, name: str, collection: str, example: str) -> None:
    fix = f"Write it like {example}"
    path = _PATH.fullmatch(name) if isinstance(name, str) else None
    if path is None or path["collection"] != collection:
        raise ConfigError(parameter, name, f"must be projects/PROJECT/{collection}/ID", fix)
    if not _ID.fullmatch(path["id"]):
        raise ConfigError(parameter, name, _ID_RULE, fix)
