"""Finding what a request names, with the errors that a client is told."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable

from connectors.broker.engine import Engine
from connectors.broker.names import check_project, check_resource
from connectors.broker.state import Snapshot, Subscription, Topic

__all__ = ["Catalog", "new_uid", "of_project", "random_name"]


class Catalog:
    """The resources of a broker by their names.

    Args:
        engine: that has them.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        # A name is checked before and entered after the commit, so only one at a time may change.
        self.changing = asyncio.Lock()

    def topic(self, name: str, field: str = "topic") -> Topic:
        """Return a topic by its name.

        Raises:
            InvalidArgument: the name breaks the rule.
            NotFound: there is no such topic.
        """
        state = self.engine.state
        if name not in state.topics:
            check_resource(field, name, "topics")
        return state.topic(name)

    def subscription(self, name: str) -> Subscription:
        """Return a subscription by its name; that counts as a use of it.

        Raises:
            InvalidArgument: the name breaks the rule.
            NotFound: there is no such subscription.
        """
        state = self.engine.state
        if name not in state.subscriptions:
            check_resource("subscription", name, "subscriptions")
        found = state.subscription(name)
        self.engine.lifecycle.used(found)
        return found

    def snapshot(self, name: str) -> Snapshot:
        """Return a snapshot by its name.

        Raises:
            InvalidArgument: the name breaks the rule.
            NotFound: there is no such snapshot.
        """
        state = self.engine.state
        if name not in state.snapshots:
            check_resource("snapshot", name, "snapshots")
        return state.snapshot(name)


def new_uid() -> int:
    """Return a number for a new resource, which no other has."""
    return secrets.randbits(63)


def random_name(sibling: str, kind: str) -> str:
    """Return a name for a new resource in the project of another."""
    project = sibling.split("/")[1]
    return f"projects/{project}/{kind}/auto-{secrets.token_hex(8)}"


def of_project(names: Iterable[str], project: str) -> list[str]:
    """Return the names that are of a project.

    Raises:
        InvalidArgument: the project is none.
    """
    check_project("project", project)
    return [name for name in names if name.startswith(project + "/")]
