"""Rows to the default stream of a table: visible at once, at least once.

Several requests are under way at a time. The default stream knows no offsets, so that they don't
depend on each other.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

import grpc
import numpy as np
import pyarrow as pa

from connectors.bigquery import limits
from connectors.bigquery.answers import (
    REFUSED,
    AppendError,
    Verdict,
    error_of,
    refused_rows,
    verdict,
)
from connectors.bigquery.casting import Faults
from connectors.bigquery.connection import Connection
from connectors.bigquery.forms import Form
from connectors.bigquery.line import ANSWER_S, Doubts, Line
from connectors.bigquery.rows import TOO_LARGE, Part, parts
from transforms import metrics
from transforms.errors import TransientError

__all__ = ["DefaultStream", "Ticket"]


@dataclass
class Ticket:
    """Rows that were given to a stream: what has become of them.

    Attributes:
        refused: error kind and reason by the index of the row.
        requests: that are still under way.
    """

    refused: Faults = field(default_factory=dict)
    requests: int = 0


@dataclass
class _Sent:
    ticket: Ticket
    part: Part


class DefaultStream:
    """Appends rows of one form to the default stream of one table.

    Guarantees: every row is appended at least once, or is in ``refused``. Order: none. Memory: 32
    MiB of requests under way, and the rows that they were made of.
    """

    def __init__(self, line: Line, form: Form) -> None:
        self._line = line
        self._form = form
        self._doubts = Doubts(line)
        self._under_way: deque[_Sent] = deque()
        self._bytes = 0

    @property
    def nbytes(self) -> int:
        """Bytes of the requests that wait for their answers."""
        return self._bytes

    def send(self, rows: pa.RecordBatch) -> Ticket:
        """Send rows, after waiting for room if much is under way."""
        ticket = Ticket()
        for part in parts(rows, np.arange(len(rows), dtype=np.int64), self._form):
            if part.encoded is None:
                row = int(part.numbers[0])
                ticket.refused[row] = TOO_LARGE
            else:
                self._make_room(part.nbytes)
                self._transmit(_Sent(ticket, part))
        return ticket

    def settle(self, ticket: Ticket) -> None:
        """Wait until every row of a ticket is appended or refused.

        Raises:
            HeadraceError: neither could be reached; the rows may be appended or not.
        """
        while ticket.requests:
            self._settle_one()

    def settle_all(self) -> None:
        """Wait until nothing is under way."""
        while self._under_way:
            self._settle_one()

    def close(self) -> None:
        """Give the connection back when nothing is under way; else end it."""
        if self._under_way:
            self._line.hang_up()
        else:
            self._line.release()

    def _make_room(self, nbytes: int) -> None:
        while self._under_way and (
            self._bytes + nbytes > limits.IN_FLIGHT_BYTES_MAX
            or len(self._under_way) >= limits.IN_FLIGHT_REQUESTS_MAX
        ):
            self._settle_one()

    def _transmit(self, sent: _Sent) -> None:
        self._connection().send(sent.part)
        self._under_way.append(sent)
        self._bytes += sent.part.nbytes
        sent.ticket.requests += 1

    def _connection(self) -> Connection:
        return self._line.connection(self._line.table.default_stream, self._form)

    def _settle_one(self) -> None:
        """Take the next answer, and do what it asks for."""
        try:
            answer = self._connection().receive(ANSWER_S)
        except (grpc.RpcError, TransientError) as error:
            self._line.hang_up()
            self._line.bear(error)
            again, self._under_way = self._under_way, deque()
            self._bytes = 0
            for sent in again:
                sent.ticket.requests -= 1
                self._transmit(sent)
            return
        sent = self._under_way.popleft()
        self._bytes -= sent.part.nbytes
        sent.ticket.requests -= 1
        metrics.APPEND_REQUESTS.inc(1)
        if answer.HasField("updated_schema"):
            self._line.session.learn(self._line.table, answer.updated_schema)
        self._judge(sent, answer)

    def _judge(self, sent: _Sent, answer: Any) -> None:
        found = verdict(answer)
        if found is Verdict.APPENDED:
            self._line.succeeded()
            self._doubts.taken()
        elif found is Verdict.BAD_ROWS:
            self._refuse(sent, refused_rows(answer))
        elif found is Verdict.TRY_AGAIN:
            self._line.bear(error_of(answer))
            self._transmit(sent)
        elif found is Verdict.OTHER_SCHEMA:
            raise self._line.schema_changed()
        else:
            self._refused_as_a_whole(sent, error_of(answer))

    def _refuse(self, sent: _Sent, bad: Faults) -> None:
        """Set the bad rows of a request apart, and send the good ones: none of it is in."""
        numbers = sent.part.numbers
        sent.ticket.refused |= {int(numbers[row]): reason for row, reason in bad.items()}
        for rest in sent.part.without(set(bad)):
            self._transmit(_Sent(sent.ticket, rest))

    def _refused_as_a_whole(self, sent: _Sent, error: AppendError) -> None:
        if error.code() is not grpc.StatusCode.INVALID_ARGUMENT:
            self._line.bear(error)  # raises it as one of ours
        if len(sent.part.rows) == 1:
            self._doubts.refused_alone(error)
            self._refuse(sent, {0: (REFUSED, error.details())})
            return
        for half in sent.part.halves():
            self._transmit(_Sent(sent.ticket, half))
