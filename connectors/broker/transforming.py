"""Rows of messages through the JavaScript functions of a topic or subscription, and back."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from connectors.broker import rows
from connectors.broker.settings import Transform
from connectors.broker.udf import Fault, Message, Metadata, Outcome, Udfs

__all__ = ["Transformed", "Transforming", "active"]

_ENGINES_MAX = 16
_Result = TypeVar("_Result")


class Transformed(NamedTuple):
    """What has become of messages."""

    data: pa.BinaryArray
    """Of the messages that are kept, in order."""
    attributes: pa.MapArray
    kept: npt.NDArray[np.bool_]
    """Which of the messages are kept."""
    faults: dict[int, str]
    """Why a message that is not kept could not be transformed; the others were dropped."""


class Transforming:
    """Runs functions on a thread of its own: the event loop goes on meanwhile."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "broker-udf")
        self._engines: OrderedDict[tuple[Transform, ...], Udfs] = OrderedDict()

    def close(self) -> None:
        """Finish the message that is being run and let go of the engines."""
        for each in list(self._engines.values()):
            each.stop()
        self._thread.submit(self._close).result()
        self._thread.shutdown()

    async def check(self, transforms: tuple[Transform, ...]) -> None:
        """Refuse transforms that could not run.

        Raises:
            InvalidArgument: one does not compile, has no such function, or is too large.
            Unsupported: the engine is not installed.
        """
        if transforms:
            await self._do(lambda: self._engine(transforms))

    async def apply(
        self, transforms: tuple[Transform, ...], messages: pa.RecordBatch
    ) -> Transformed:
        """Return what becomes of messages.

        Args:
            transforms: of the topic or subscription.
            messages: columns as in ``rows.STORED``; ids and times may be null.
        """
        return await self._do(lambda: _apply(self._engine(transforms), messages))

    async def _do(self, work: Callable[[], _Result]) -> _Result:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _engine(self, transforms: tuple[Transform, ...]) -> Udfs:
        if transforms not in self._engines:
            self._engines[transforms] = Udfs(transforms)
        self._engines.move_to_end(transforms)
        if len(self._engines) > _ENGINES_MAX:
            self._engines.popitem(last=False)[1].close()
        return self._engines[transforms]

    def _close(self) -> None:
        while self._engines:
            self._engines.popitem()[1].close()


def active(transforms: Sequence[Transform]) -> bool:
    """Tell whether one of the transforms is not disabled."""
    return not all(each.disabled for each in transforms)


def _apply(udfs: Udfs, messages: pa.RecordBatch) -> Transformed:
    outcomes: list[Outcome] = [Fault("its data is not UTF-8 text")] * messages.num_rows
    texts = list(_texts(messages))
    ran = udfs.run([(message, metadata) for _, message, metadata in texts])
    for (index, _, _), outcome in zip(texts, ran, strict=True):
        outcomes[index] = outcome
    kept = [each for each in outcomes if isinstance(each, Message)]
    return Transformed(
        rows.binaries([each.data.encode() for each in kept]),
        rows.maps([each.attributes for each in kept]),
        np.array([isinstance(each, Message) for each in outcomes], np.bool_),
        {n: each.why for n, each in enumerate(outcomes) if isinstance(each, Fault)},
    )


def _texts(messages: pa.RecordBatch) -> Iterator[tuple[int, Message, Metadata]]:
    """Yield each message that is text, and where it stands."""
    for index, row in enumerate(messages.to_pylist()):
        try:
            data = (row["data"] or b"").decode()
        except UnicodeDecodeError:
            continue
        metadata = Metadata(
            row["message_id"] or "", _shown(row["publish_time"]), row["ordering_key"] or ""
        )
        yield index, Message(data, dict(row["attributes"] or ())), metadata


def _shown(time: Any) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%SZ}" if isinstance(time, datetime) else ""
