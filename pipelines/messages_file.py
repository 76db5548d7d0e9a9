"""Messages of a file, published: something to read for whoever tries a pipeline."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from connectors import pubsub
from transforms.errors import ConfigError, PermanentError

__all__ = ["publish_lines"]


def publish_lines(path: Path, topic: str) -> int:
    """Publish each line of a file as the data of a message; return how many.

    Raises:
        ConfigError: the file can't be read.
        PermanentError: the topic has not taken all of them.
    """
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise ConfigError(
            "--messages", str(path), f"can't be read ({error.strerror})",
            "Give a file with the data of a message on each line",
        ) from None  # fmt: skip
    payloads = [line for line in lines if line.strip()]
    messages = pubsub.as_messages(pa.array(payloads, pa.binary()))
    with pubsub.Publisher(topic) as publisher:
        taken = publisher.publish(messages)
    if len(taken.dead):
        raise PermanentError(f"{topic} refused {len(taken.dead)} of the messages of {path}")
    return len(payloads)
