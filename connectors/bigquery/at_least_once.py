"""The step that appends batches to default streams."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator
from typing import Any, NamedTuple, TypeAlias

import apache_beam as beam
import pyarrow as pa
from apache_beam.utils.windowed_value import WindowedValue

from connectors.bigquery import limits
from connectors.bigquery.casting import Faults
from connectors.bigquery.default_stream import DefaultStream, Ticket
from connectors.bigquery.forms import ArrowForm, Form, ProtoForm
from connectors.bigquery.line import Line
from connectors.bigquery.plan import Plan
from connectors.bigquery.prepare import Parcel, Preparer, sort_out
from connectors.bigquery.rows import Fitted
from connectors.bigquery.session import session
from connectors.table_name import TableName
from transforms.batch import Batch

__all__ = ["AppendBatches"]

Output: TypeAlias = Any
"""A windowed value, or a tagged one."""


class _Sent(NamedTuple):
    """A parcel under way, with what it takes to say what became of it."""

    windowed: WindowedValue
    batch: Batch
    fitted: Fitted
    stream: DefaultStream
    ticket: Ticket

    def faults(self) -> Faults:
        """Return every fault by the row's index in the batch; all is settled."""
        origin = self.fitted.origin
        refused = {int(origin[row]): reason for row, reason in self.ticket.refused.items()}
        return self.fitted.faults | refused


class AppendBatches(beam.DoFn):
    """Appends rows while the next ones come, and tells of them when they are answered.

    Args:
        plan: what is to be written where.
        streams_max: tables to which rows are under way at a time.
    """

    def __init__(self, plan: Plan, streams_max: int) -> None:
        super().__init__()
        self._plan, self._streams_max = plan, streams_max

    def setup(self) -> None:
        """Prepare; nothing is connected."""
        self._session = session()
        self._preparer = Preparer(self._plan, self._session)
        self._streams: OrderedDict[tuple[TableName, Form], DefaultStream] = OrderedDict()
        self._forms: dict[pa.Schema, Form] = {}
        self._sent: deque[_Sent] = deque()

    def start_bundle(self) -> None:
        """Forget what a bundle that failed has left."""
        self._hang_up()

    def process(
        self, batch: Batch, windowed: WindowedValue = beam.DoFn.WindowedValueParam
    ) -> Iterator[Output]:
        """Send a batch; tell of what is answered."""
        parcels, dead = self._preparer.route(batch)
        if dead is not None:
            yield beam.pvalue.TaggedOutput("dead", windowed.with_value(dead))
        for parcel in parcels:
            self._send(windowed, parcel)
            while self._bytes() > limits.IN_FLIGHT_BYTES_TOTAL_MAX:
                yield from self._settled()
        while self._sent and self._sent[0].ticket.requests == 0:
            yield from self._settled()

    def finish_bundle(self) -> Iterator[Output]:
        """Wait for all answers, and give the connections back."""
        while self._sent:
            yield from self._settled()
        self._hang_up()

    def teardown(self) -> None:
        """End what is still open."""
        self._hang_up()

    def _send(self, windowed: WindowedValue, parcel: Parcel) -> None:
        fitted = self._preparer.fit(parcel)
        stream = self._stream(parcel.table, self._form(fitted.rows.schema))
        ticket = stream.send(fitted.rows)
        self._sent.append(_Sent(windowed, parcel.batch, fitted, stream, ticket))

    def _form(self, schema: pa.Schema) -> Form:
        """Return how rows are sent; a form is compiled once."""
        if schema not in self._forms:
            is_change = self._plan.changes is not None
            self._forms[schema] = ProtoForm(schema) if is_change else ArrowForm(schema)
        return self._forms[schema]

    def _stream(self, table: TableName, form: Form) -> DefaultStream:
        key = (table, form)
        if key not in self._streams:
            while len(self._streams) >= self._streams_max:
                _, oldest = self._streams.popitem(last=False)
                oldest.settle_all()
                oldest.close()
            self._streams[key] = DefaultStream(Line(self._session, table), form)
        self._streams.move_to_end(key)
        return self._streams[key]

    def _bytes(self) -> int:
        return sum(stream.nbytes for stream in self._streams.values())

    def _settled(self) -> Iterator[Output]:
        """Wait for the answers to what was sent first, and tell of it."""
        sent = self._sent.popleft()
        sent.stream.settle(sent.ticket)
        ok, dead = sort_out(sent.batch, sent.faults(), self._plan.step)
        self._plan.rows_written.inc(len(ok))
        if len(ok):
            yield sent.windowed.with_value(ok)
        if dead is not None:
            yield beam.pvalue.TaggedOutput("dead", sent.windowed.with_value(dead))

    def _hang_up(self) -> None:
        self._sent.clear()
        for stream in self._streams.values():
            stream.close()
        self._streams.clear()
