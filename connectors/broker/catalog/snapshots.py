"""The methods of Subscriber that are about snapshots as resources."""

from __future__ import annotations

import time
from typing import Any

from google.protobuf.empty_pb2 import Empty

from connectors.broker import limits, schema
from connectors.broker.catalog import labels, masks, times
from connectors.broker.catalog.lookup import Catalog, of_project, random_name
from connectors.broker.catalog.unsupported import refuse
from connectors.broker.errors import Exhausted, InvalidArgument
from connectors.broker.names import check_resource
from connectors.broker.pages import page
from connectors.broker.settings import SnapshotSettings
from connectors.broker.state import Snapshot

__all__ = ["Snapshots"]

_MUTABLE = frozenset({"expire_time", "labels"})
_REFUSED = {"tags": "there is no Resource Manager to bind them"}


class Snapshots:
    """Each method takes the protocol buffer of its request and returns that of its response."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog, self._engine = catalog, catalog.engine

    async def create(self, request: Any) -> Any:
        """Hold the backlog of a subscription, under a random name if the request gives none."""
        subscription = self._catalog.subscription(request.subscription)
        name = request.name or random_name(request.subscription, "snapshots")
        check_resource("name", name, "snapshots")
        refuse(request, _REFUSED)
        wanted = labels.checked(request.labels)
        self._check_room(name.rpartition("/snapshots/")[0])
        return _shown(await self._engine.lifecycle.create_snapshot(name, wanted, subscription))

    async def get(self, request: Any) -> Any:
        """Return a snapshot."""
        return _shown(self._catalog.snapshot(request.snapshot))

    async def update(self, request: Any) -> Any:
        """Change the fields that the mask names."""
        async with self._catalog.changing:
            snapshot = self._catalog.snapshot(request.snapshot.name)
            wanted = masks.updated(
                _shown(snapshot), request.snapshot, request.update_mask, _MUTABLE
            )
            settings = SnapshotSettings(
                snapshot.settings.name,
                _expire_us(wanted, snapshot.settings.expire_us),
                labels.checked(wanted.labels),
            )
            await self._engine.lifecycle.update_snapshot(snapshot, settings)
        return _shown(snapshot)

    async def list(self, request: Any) -> Any:
        """List the snapshots of a project by name."""
        snapshots = self._engine.state.snapshots
        names, token = page(of_project(snapshots, request.project), request)
        shown = [_shown(snapshots[name]) for name in names]
        return schema.message("ListSnapshotsResponse")(snapshots=shown, next_page_token=token)

    async def delete(self, request: Any) -> Any:
        """Let go of a snapshot."""
        await self._engine.lifecycle.delete_snapshot(self._catalog.snapshot(request.snapshot))
        return Empty()

    def _check_room(self, project: str) -> None:
        if len(of_project(self._engine.state.snapshots, project)) >= limits.SNAPSHOTS_MAX:
            raise Exhausted(
                f"Project {project} has {limits.SNAPSHOTS_MAX} snapshots, which is the limit;"
                " delete some."
            )


def _expire_us(wanted: Any, before_us: int) -> int:
    """Return when an updated snapshot expires: no later than 7 days from now.

    Raises:
        InvalidArgument: it is past, or too late.
    """
    expire_us = times.read_us("expire_time", wanted.expire_time)
    now_us = time.time_ns() // 1_000
    if expire_us != before_us and not 0 < expire_us - now_us <= limits.SNAPSHOT_S_MAX * 1_000_000:
        raise InvalidArgument(
            "expire_time", wanted.expire_time.ToJsonString(),
            f"must be in the future, at most {limits.SNAPSHOT_S_MAX} s from now",
        )  # fmt: skip
    return expire_us


def _shown(snapshot: Snapshot) -> Any:
    settings = snapshot.settings
    shown = schema.message("Snapshot")(
        name=settings.name, topic=snapshot.topic.shown_name, labels=settings.labels
    )
    times.show(shown.expire_time, settings.expire_us)
    return shown
