"""The embedded broker for a job that is tried at home: with all that its parameters name."""

from __future__ import annotations

import contextlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pipelines.broker_process import broker_process

__all__ = ["ADDRESS", "broker", "declaration"]

ADDRESS = "PUBSUB_EMULATOR_HOST"
"""The variable by which every client of Google finds it."""

_NAME = re.compile(r"projects/(?P<project>[^/]+)/(?P<kind>topics|subscriptions)/(?P<id>[^/{}]+)")


def declaration(texts: Mapping[str, str]) -> dict[str, Any]:
    """Return the topics and subscriptions that parameters name, as the broker's ``--config``.

    A topic and a subscription go together under one id: what is published to the topic of an input
    can be read, and what a job publishes can be looked at.
    """
    found = [match for text in texts.values() if (match := _NAME.fullmatch(text))]
    names = dict.fromkeys((each["project"], each["id"]) for each in found)
    return {
        "topics": [{"name": f"projects/{project}/topics/{name}"} for project, name in names],
        "subscriptions": [
            {
                "name": f"projects/{project}/subscriptions/{name}",
                "topic": f"projects/{project}/topics/{name}",
            }
            for project, name in names
        ],
    }


@contextlib.contextmanager
def broker(folder: Path, texts: Mapping[str, str], port: int = 0) -> Iterator[str]:
    """Run a broker during the block, to which every client of this process then talks.

    Args:
        folder: keeps its data: the same folder has the same messages at the next start.
        texts: of the parameters; what they name is made if it is missing.
        port: 0 takes any free one.

    Yields:
        Its address.

    Raises:
        PermanentError: it did not start.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "declared.json"
    config.write_text(json.dumps(declaration(texts), indent=2), encoding="utf-8")
    before = os.environ.get(ADDRESS)
    with broker_process(folder / "data", port, ["--config", str(config)]) as address:
        os.environ[ADDRESS] = address
        try:
            yield address
        finally:
            os.environ.pop(ADDRESS)
            if before is not None:
                os.environ[ADDRESS] = before
