"""The steps that append rows once: route, append behind a shuffle, flush behind another one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import apache_beam as beam
import grpc
import numpy as np
import pyarrow as pa
from apache_beam.transforms.userstate import ReadModifyWriteStateSpec
from apache_beam.utils.windowed_value import WindowedValue
from google.cloud.bigquery_storage_v1 import types as api

from connectors import retry
from connectors.bigquery.casting import Faults
from connectors.bigquery.forms import ArrowForm
from connectors.bigquery.limits import IN_FLIGHT_BYTES_MAX
from connectors.bigquery.line import Line
from connectors.bigquery.offset_stream import OffsetStream, Place
from connectors.bigquery.plan import Plan
from connectors.bigquery.prepare import Parcel, Preparer, sort_out
from connectors.bigquery.rows import TOO_LARGE, Fitted, parts
from connectors.bigquery.session import session
from connectors.table_name import TableName
from transforms.batch import Batch

__all__ = ["AppendOnce", "Flush", "Key", "Route"]

Key = tuple[str, int]
"""A table and a shard: one stream, and one writer at a time."""

_PLACE = beam.DoFn.StateParam(
    ReadModifyWriteStateSpec(
        "place",
        beam.coders.TupleCoder((beam.coders.StrUtf8Coder(), beam.coders.VarIntCoder())),
    )
)


class Route(beam.DoFn):
    """Gives the rows of each table to its shards in turn, with their windows beside them."""

    def __init__(self, plan: Plan, shards: int) -> None:
        super().__init__()
        self._plan, self._shards = plan, shards
        self._next = 0

    def setup(self) -> None:
        """Prepare; nothing is connected."""
        self._preparer = Preparer(self._plan, session())

    def process(
        self, batch: Batch, windowed: WindowedValue = beam.DoFn.WindowedValueParam
    ) -> Iterator[tuple[Key, WindowedValue] | beam.pvalue.TaggedOutput]:
        """Give each table's rows a key."""
        parcels, dead = self._preparer.route(batch)
        if dead is not None:
            yield beam.pvalue.TaggedOutput("dead", dead)
        self._next = (self._next + 1) % self._shards
        for parcel in parcels:
            yield (str(parcel.table), self._next), windowed.with_value(parcel.batch)


class _Entry(NamedTuple):
    windowed: WindowedValue
    fitted: Fitted

    @property
    def batch(self) -> Batch:
        return self.windowed.value


class AppendOnce(beam.DoFn):
    """Appends what a shuffle has gathered to the key's stream, as ``OffsetStream`` tells."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self._plan = plan

    def setup(self) -> None:
        """Prepare; nothing is connected."""
        self._session = session()
        self._preparer = Preparer(self._plan, self._session)

    def process(
        self, element: tuple[Key, Iterable[WindowedValue]], place: Any = _PLACE
    ) -> Iterator[WindowedValue | beam.pvalue.TaggedOutput]:
        """Append the rows; say which are in, which are dead, and up to where to flush."""
        (name, _), gathered = element
        table = TableName.parse(name)
        read = place.read()
        known = None if read is None else Place(*read)
        ends: dict[str, int] = {}
        last = None
        for entries in self._portions(table, gathered):
            refused, known, found = self._append(table, entries, known)
            ends |= found
            for entry, faults in zip(entries, refused, strict=True):
                last = entry.windowed
                yield from self._told(entry, faults)
        if known is not None:
            place.write(tuple(known))
        if last is not None:
            for stream, end in ends.items():
                yield beam.pvalue.TaggedOutput("flush", last.with_value((stream, end)))

    def _portions(
        self, table: TableName, gathered: Iterable[WindowedValue]
    ) -> Iterator[list[_Entry]]:
        """Yield entries of one schema and of a bounded size."""
        portion: list[_Entry] = []
        nbytes = 0
        for windowed in gathered:
            entry = _Entry(windowed, self._preparer.fit(Parcel(table, windowed.value)))
            size = entry.fitted.rows.nbytes
            other = portion and not portion[0].fitted.rows.schema.equals(entry.fitted.rows.schema)
            if portion and (other or nbytes + size > IN_FLIGHT_BYTES_MAX):
                yield portion
                portion, nbytes = [], 0
            portion.append(entry)
            nbytes += size
        if portion:
            yield portion

    def _append(
        self, table: TableName, entries: list[_Entry], place: Place | None
    ) -> tuple[list[Faults], Place | None, dict[str, int]]:
        rows = pa.concat_batches([entry.fitted.rows for entry in entries])
        form = ArrowForm(rows.schema)
        requests = list(parts(rows, np.arange(len(rows), dtype=np.int64), form))
        stream = OffsetStream(Line(self._session, table), form, place)
        stream.append([part for part in requests if part.encoded is not None])
        large = [int(part.numbers[0]) for part in requests if part.encoded is None]
        refused = stream.refused | dict.fromkeys(large, TOO_LARGE)
        return _by_entry(entries, refused), stream.place, dict(stream.ends)

    def _told(
        self, entry: _Entry, refused: Faults
    ) -> Iterator[WindowedValue | beam.pvalue.TaggedOutput]:
        ok, dead = sort_out(entry.batch, entry.fitted.faults | refused, self._plan.step)
        self._plan.rows_written.inc(len(ok))
        if len(ok):
            yield entry.windowed.with_value(ok)
        if dead is not None:
            yield beam.pvalue.TaggedOutput("dead", entry.windowed.with_value(dead))


def _by_entry(entries: list[_Entry], refused: Faults) -> list[Faults]:
    """Give each entry its faults, by the index of the row in its batch."""
    found: list[Faults] = [{} for _ in entries]
    if refused:
        starts = np.cumsum([0, *(len(entry.fitted.rows) for entry in entries)])
        for row, reason in refused.items():
            at = int(np.searchsorted(starts, row, side="right")) - 1
            found[at][int(entries[at].fitted.origin[row - starts[at]])] = reason
    return found


class Flush(beam.DoFn):
    """Makes rows visible, up to offsets that are committed. To do so twice changes nothing."""

    def setup(self) -> None:
        """Nothing is connected."""
        self._session = session()

    def start_bundle(self) -> None:
        """Forget what a bundle that failed has left."""
        self._ends: dict[str, int] = {}

    def process(self, end: tuple[str, int]) -> None:
        """Remember the last offset of a stream."""
        stream, offset = end
        self._ends[stream] = max(offset, self._ends.get(stream, offset))

    def finish_bundle(self) -> None:
        """Flush each stream once."""
        for stream, offset in self._ends.items():
            self._flush(stream, offset)

    def _flush(self, stream: str, offset: int) -> None:
        request = api.FlushRowsRequest.pb()(write_stream=stream)
        request.offset.value = offset
        subject = self._session.subject(TableName.parse(stream.rpartition("/streams/")[0]))
        try:
            self._session.call("FlushRows", request, ("write_stream", stream), subject)
        except Exception as error:
            if retry.status(error.__cause__) is not grpc.StatusCode.ALREADY_EXISTS:
                raise
