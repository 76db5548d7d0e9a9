"""The first row of each key, across windows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import apache_beam as beam
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import (
    BagStateSpec,
    ReadModifyWriteStateSpec,
    TimerSpec,
    on_timer,
)
from apache_beam.transforms.window import GlobalWindow, GlobalWindows
from apache_beam.utils.shared import Shared
from apache_beam.utils.timestamp import Timestamp
from apache_beam.utils.windowed_value import WindowedValue

from transforms.batch import Batch
from transforms.duration import whole_millis
from transforms.errors import ConfigError
from transforms.field import Field
from transforms.fingerprint import fingerprint
from transforms.memory import NEVER_US, START, Memory, Summary
from transforms.metrics import DUPLICATES, ROWS_WITHOUT_KEY
from transforms.rewindow import InFirstWindow, ParDoInto

__all__ = ["Deduplicate"]


@dataclass(eq=False)
class Deduplicate(beam.PTransform):
    """Keep the first row of each key, in order of arrival, whatever windows the rows are in.

    A key that arrives with element time ``t`` is remembered until the watermark passes ``t``
    plus the horizon, rounded up by a quarter of the horizon at most; a row is dropped if its key
    is remembered. Rows with a null in their key are kept. Every row keeps its windows, merged
    sessions included, its element time and its pane; none is dropped for being late.

    Guarantees:
        Exact within the horizon, up to collisions of 128-bit hashes, on every runner that fires
        timers by the watermark: nothing but Beam state and timers is relied on. (The FnApiRunner
        fires them whenever a splittable source pauses; there a key is known until the next pause.)
        A duplicate after the horizon may be kept or dropped.
        A late row is remembered for a horizon from the last expiry on, half a horizon at least
        where rows come steadily.
        A bounded run whose watermark stands still until its end remembers every key.
        State: 16 to 32 bytes for each key within the horizon in the runner's store, and 28 to 72
        in the worker that owns the shard. Expiry writes each key once more at most, on average.
        A key with a time in the far future stays until then: reject such rows before.

    Args:
        key: one or more fields: columns, attributes or parts of the message.
        horizon_s: seconds of element time for which a key is remembered; whole milliseconds.
        shards: how many workers can share the work. With one, no row is copied but where others
            are dropped; with more, each batch is copied and split in as many parts. Plan for at
            most a few million keys per shard: when it moves to another worker, its keys are read
            anew there, at about 4 million a second.
    """

    key: Field | Sequence[Field]
    horizon_s: float
    shards: int = 1

    def __post_init__(self) -> None:
        super().__init__()
        whole_millis("horizon_s", self.horizon_s)
        if self.shards < 1:
            raise ConfigError("shards", self.shards, "must be at least 1", "Use 1 on one machine")
        if not self._fields():
            raise ConfigError("key", self.key, "must name at least one field", "Name one or more")

    def expand(self, batches: beam.PCollection[Batch]) -> beam.PCollection[Batch]:
        """Put all batches into one window, whose state spans all; restore their windows after."""
        fields = self._fields()
        sharded = beam.typehints.KV[int, beam.typehints.WindowedValue[Batch]]
        return (
            batches
            | "Shard" >> beam.ParDo(_Shard(fields, self.shards)).with_output_types(sharded)
            | "Once" >> beam.ParDo(InFirstWindow()).with_output_types(sharded)
            | "Globally" >> beam.WindowInto(GlobalWindows())
            | "First"
            >> ParDoInto(
                _FirstOfKey(fields, whole_millis("horizon_s", self.horizon_s) * 1_000),
                batches.windowing,
            ).with_output_types(Batch)
        )

    def _fields(self) -> tuple[Field, ...]:
        return (self.key,) if isinstance(self.key, Field) else tuple(self.key)


_Sharded = tuple[int, WindowedValue]


class _Shard(beam.DoFn):
    """Give each batch its shard, and pack its windows beside it."""

    def __init__(self, fields: tuple[Field, ...], shards: int) -> None:
        self._fields, self._shards = fields, shards

    def process(
        self,
        element: Batch,
        windowed: WindowedValue = beam.DoFn.WindowedValueParam,
    ) -> Iterator[_Sharded]:
        if self._shards == 1:
            yield 0, windowed
            return
        keys, missing = fingerprint([field.of(element) for field in self._fields])
        shards = np.where(missing, 0, keys[:, 1] % np.uint64(self._shards))
        order = np.argsort(shards, kind="stable")
        grouped = element.take(pa.array(order))
        edges = np.searchsorted(shards[order], np.arange(self._shards + 1)).tolist()
        for shard, (start, end) in enumerate(pairwise(edges)):
            if start < end:
                yield shard, windowed.with_value(grouped.slice(start, end - start))


class _Memories(dict[int, Memory]):
    """The memories that live in this process, by shard. A dict itself can't be shared."""


_EXPIRY_TIMER = TimerSpec("expiry", TimeDomain.WATERMARK)
_EXPIRY = beam.DoFn.TimerParam(_EXPIRY_TIMER)
_CHUNKS = beam.DoFn.StateParam(BagStateSpec("chunks", beam.coders.BytesCoder()))
_SUMMARY = beam.DoFn.StateParam(
    ReadModifyWriteStateSpec(
        "summary",
        beam.coders.TupleCoder(
            (beam.coders.BytesCoder(), beam.coders.VarIntCoder(), beam.coders.VarIntCoder())
        ),
    )
)


class _FirstOfKey(beam.DoFn):
    """Keep a memory per shard alive from bundle to bundle, as long as it agrees with the state."""

    def __init__(self, fields: tuple[Field, ...], horizon_us: int) -> None:
        self._fields, self._horizon_us = fields, horizon_us
        # One memory per shard and process: a runner hands a shard's bundles to any of several
        # instances of this class.
        self._shared = Shared()
        self._memories = _Memories()

    def setup(self) -> None:
        self._memories = self._shared.acquire(_Memories)

    def process(
        self,
        element: _Sharded,
        chunks: Any = _CHUNKS,
        summary: Any = _SUMMARY,
        expiry: Any = _EXPIRY,
    ) -> Iterator[WindowedValue]:
        shard, windowed = element
        memory = self._take(shard, summary, chunks)
        due_us = memory.summary.due_us
        keep, chunk = _judge(windowed, self._fields, memory)
        if chunk:
            chunks.add(chunk)
            summary.write(memory.summary)
            _set_timer(expiry, due_us, memory.summary.due_us)
        self._memories[shard] = memory
        kept = _select(windowed.value, keep)
        if len(kept):
            yield windowed.with_value(kept)

    @on_timer(_EXPIRY_TIMER)
    def expire(
        self,
        shard: int = beam.DoFn.KeyParam,
        time: Timestamp = beam.DoFn.TimestampParam,
        chunks: Any = _CHUNKS,
        summary: Any = _SUMMARY,
        expiry: Any = _EXPIRY,
    ) -> None:
        """Forget the keys whose time is over."""
        memory = self._take(shard, summary, chunks)
        remaining = memory.expire(time.micros)
        if remaining is not None:
            chunks.clear()
            for chunk in remaining:
                chunks.add(chunk)
        summary.write(memory.summary)
        _set_timer(expiry, NEVER_US, memory.summary.due_us)
        self._memories[shard] = memory

    def _take(self, shard: int, summary: Any, chunks: Any) -> Memory:
        """Return the memory that the committed state describes, for this call alone.

        Chunks are read only if the living memory isn't that one: its last bundle failed, or the
        shard comes from another worker.
        """
        committed = Summary(*(summary.read() or START))
        memory = self._memories.pop(shard, None)
        if memory is not None and memory.summary == committed:
            return memory
        if committed == START:
            return Memory(self._horizon_us)
        return Memory.restore(self._horizon_us, committed, chunks.read())


def _judge(
    windowed: WindowedValue, fields: tuple[Field, ...], memory: Memory
) -> tuple[npt.NDArray[np.bool_], bytes]:
    """Return the rows to keep and the chunk to store; count what is dropped."""
    prints = fingerprint([field.of(windowed.value) for field in fields])
    keep = prints.missing.copy()
    present = np.flatnonzero(~keep)
    keep[present], chunk = memory.admit(
        prints.keys.take(present, axis=0), windowed.timestamp.micros
    )
    ROWS_WITHOUT_KEY.inc(len(keep) - len(present))
    DUPLICATES.inc(len(keep) - int(keep.sum()))
    return keep, chunk


def _select(batch: Batch, keep: npt.NDArray[np.bool_]) -> Batch:
    return batch if keep.all() else batch.filter(pa.array(keep))


def _set_timer(expiry: Any, set_us: int, due_us: int) -> None:
    """Set the timer unless it is set so. What is due after the end of time never expires."""
    if due_us < min(set_us, _END_US):
        expiry.set(Timestamp(micros=due_us))


_END_US = GlobalWindow().max_timestamp().micros
