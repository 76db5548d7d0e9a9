"""Names of topics and subscriptions: the rule and its check."""

from __future__ import annotations

import re

from connectors.broker.errors import InvalidArgument

__all__ = ["DELETED_TOPIC", "check_project", "check_resource"]

DELETED_TOPIC = "_deleted-topic_"
"""What a subscription shows as its topic once that was deleted."""

_PROJECT = re.compile(r"[^/\s\x00-\x1f\x7f]{1,255}")  # the service's own rule is narrower
_ID = re.compile(r"[A-Za-z][A-Za-z0-9\-_.~+%]{2,254}")
_RULE = (
    "must be projects/{{project}}/{kind}/{{id}}, where the id starts with a letter, has 3 to 255"
    " letters, digits or -_.~+%, and does not start with goog"
)


def check_resource(field: str, name: str, kind: str) -> None:
    """Refuse a name that the service would refuse.

    Args:
        field: the request's field, for the message.
        name: the full resource name.
        kind: ``topics`` or ``subscriptions``.

    Raises:
        InvalidArgument: the name breaks the rule.
    """
    parts = name.split("/", 4)
    if (
        len(parts) != 4  # noqa: PLR2004 - the four parts of the rule above
        or parts[0] != "projects"
        or not _PROJECT.fullmatch(parts[1])
        or parts[2] != kind
        or not _ID.fullmatch(parts[3])
        or parts[3].startswith("goog")
    ):
        raise InvalidArgument(field, repr(name), _RULE.format(kind=kind))


def check_project(field: str, name: str) -> None:
    """Refuse anything but ``projects/{project}``.

    Raises:
        InvalidArgument: the name breaks the rule.
    """
    prefix, _, project = name.partition("/")
    if prefix != "projects" or not _PROJECT.fullmatch(project):
        raise InvalidArgument(field, repr(name), "must be projects/{project}")
