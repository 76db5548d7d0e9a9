"""Rows to a buffered stream at known offsets: each once, and visible when they are flushed.

A stream is written by one attempt of one bundle after the other. What counts is the place that
Beam's state holds: the stream's name and the offset at which it ended when the last bundle
committed. Rows behind that are of attempts that failed. They were never flushed, so nobody has
seen them, and nobody will.

1. An attempt appends at the committed offset. If the stream ends there, its rows are taken.
2. If the stream goes on behind it (ALREADY_EXISTS), a failed attempt has left rows there, perhaps
   others than ours or in another order. The stream is left as it is, and a new one begun.
3. If the first append is not answered, it can't be told whether what is there is ours: the same.
4. After the first append that was accepted the end is ours alone: any other attempt starts at the
   committed offset too, where the stream doesn't end any more. From here on an append that was not
   answered is repeated, and ALREADY_EXISTS means that its rows are in. The same holds for a stream
   that this attempt has made.
5. The place behind the last row, and the request to flush up to it, are committed together. Only
   then another step flushes; to flush twice changes nothing.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Any, NamedTuple

import grpc
from google.cloud.bigquery_storage_v1 import types as api

from connectors import retry
from connectors.bigquery import limits
from connectors.bigquery.answers import REFUSED, Verdict, error_of, refused_rows, verdict
from connectors.bigquery.casting import Faults
from connectors.bigquery.forms import Form
from connectors.bigquery.line import ANSWER_S, Doubts, Line
from connectors.bigquery.rows import Part
from transforms import metrics
from transforms.errors import TransientError

__all__ = ["OffsetStream", "Place"]

STREAMS_LEFT_MAX = 5
"""Streams that may be left without a row in them: then something else is wrong."""

_STREAM_MAY_BE_GONE = (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.FAILED_PRECONDITION)
"""BigQuery removes streams that were idle for days. If it is the table that is gone, the attempt to
make a new stream says so."""


class Place(NamedTuple):
    """Where a stream ended when it was last known for sure."""

    stream: str
    offset: int


@dataclass
class _Sent:
    part: Part
    is_doubtful: bool = False
    """It was sent before, and may be in."""


class OffsetStream:
    """Appends rows of one form in one attempt of one bundle.

    Args:
        line: to the table.
        form: of the rows.
        place: the committed one; None if there is none.
    """

    def __init__(self, line: Line, form: Form, place: Place | None) -> None:
        self._line, self._form = line, form
        self._doubts = Doubts(line)
        self._place = place
        self._is_ours = False
        self._left = 0
        self._waiting: deque[_Sent] = deque()
        self._under_way: deque[_Sent] = deque()
        self._ends: dict[str, int] = {}
        self.refused: Faults = {}

    @property
    def place(self) -> Place | None:
        """Where the stream ends now."""
        return self._place

    @property
    def ends(self) -> list[Place]:
        """For each stream that has got rows, the offset of the last one of ours."""
        return [Place(stream, end - 1) for stream, end in self._ends.items()]

    def append(self, rows: list[Part]) -> None:
        """Append rows, and wait until each is in the stream or in ``refused``.

        Raises:
            HeadraceError: neither could be reached; nothing that is visible has changed.
        """
        self._waiting.extend(_Sent(part) for part in rows)
        try:
            while self._waiting or self._under_way:
                self._fill()
                self._settle_one()
        except BaseException:
            self._line.hang_up()
            raise
        self._line.release()

    def _fill(self) -> None:
        """Send what waits: one request until the stream is ours, then as many as are allowed.

        What is sent behind a first one that fails is sent in vain.
        """
        place = self._open()
        offset = place.offset + sum(len(sent.part.rows) for sent in self._under_way)
        nbytes = sum(sent.part.nbytes for sent in self._under_way)
        connection = self._line.connection(place.stream, self._form)
        most = limits.IN_FLIGHT_REQUESTS_MAX if self._is_ours else 1
        while self._waiting and len(self._under_way) < most:
            nbytes += self._waiting[0].part.nbytes
            if self._under_way and nbytes > limits.IN_FLIGHT_BYTES_MAX:
                return
            sent = self._waiting.popleft()
            connection.send(sent.part, offset)
            offset += len(sent.part.rows)
            self._under_way.append(sent)

    def _open(self) -> Place:
        if self._place is None:
            self._place = Place(self._create(), 0)
            self._is_ours = True
        return self._place

    def _create(self) -> str:
        table, session = self._line.table, self._line.session
        request = api.CreateWriteStreamRequest.pb()(parent=table.path)
        request.write_stream.type_ = api.WriteStream.Type.BUFFERED.value
        routing = ("parent", table.path)
        answer = session.call("CreateWriteStream", request, routing, session.subject(table))
        created: str = api.WriteStream.pb().FromString(answer).name
        return created

    def _settle_one(self) -> None:
        place = self._open()
        try:
            answer = self._line.connection(place.stream, self._form).receive(ANSWER_S)
        except (grpc.RpcError, TransientError) as error:
            self._unanswered(error)
            return
        metrics.APPEND_REQUESTS.inc(1)
        if answer.HasField("updated_schema"):
            self._line.session.learn(self._line.table, answer.updated_schema)
        self._judge(answer)

    def _unanswered(self, error: BaseException) -> None:
        self._line.hang_up()
        if not self._is_ours and retry.status(error) in _STREAM_MAY_BE_GONE:
            self._leave()
            return
        self._line.bear(error)
        self._again(is_doubtful=True)
        if not self._is_ours:
            self._leave()

    def _judge(self, answer: Any) -> None:
        found = verdict(answer)
        sent = self._under_way[0]
        is_in = found is Verdict.ALREADY_THERE and self._is_ours and sent.is_doubtful
        if found is Verdict.APPENDED or is_in:
            self._advance()
            return
        self._drain()
        if found is Verdict.BAD_ROWS:
            self._refuse(refused_rows(answer))
        elif found is Verdict.TRY_AGAIN:
            self._line.bear(error_of(answer))
            self._again(is_doubtful=True)
            if not self._is_ours:
                self._leave()
        elif found is Verdict.OTHER_SCHEMA:
            raise self._line.schema_changed()
        elif found is Verdict.FAILED and not self._may_be_gone(answer):
            self._refused_as_a_whole(answer)
        else:
            self._leave()

    def _may_be_gone(self, answer: Any) -> bool:
        return not self._is_ours and error_of(answer).code() in _STREAM_MAY_BE_GONE

    def _advance(self) -> None:
        sent = self._under_way.popleft()
        stream, offset = self._open()
        self._place = Place(stream, offset + len(sent.part.rows))
        self._ends[stream] = self._place.offset
        self._is_ours = True
        self._left = 0
        self._line.succeeded()
        self._doubts.taken()

    def _drain(self) -> None:
        """Pass over the answers to what was sent behind a request that failed: it failed too."""
        connection = self._line.connection(self._open().stream, self._form)
        try:
            for _ in range(len(self._under_way) - 1):
                connection.receive(ANSWER_S)
        except (grpc.RpcError, TransientError):
            self._line.hang_up()

    def _again(self, *, is_doubtful: bool) -> None:
        """Put what was under way back, in order."""
        for sent in self._under_way:
            sent.is_doubtful = is_doubtful
        self._waiting.extendleft(reversed(self._under_way))
        self._under_way.clear()

    def _leave(self) -> None:
        """Leave the stream as it is; what is not known to be in goes to a new one."""
        self._left += 1
        if self._left > STREAMS_LEFT_MAX:
            raise TransientError(
                f"table {self._line.table}: {self._left} streams in a row took no rows"
            )
        self._line.release()
        self._again(is_doubtful=False)
        for sent in self._waiting:
            sent.is_doubtful = False  # on a stream that is new, nothing was sent before
        self._place = None

    def _replace_first(self, by: list[Part]) -> None:
        self._under_way.popleft()
        self._again(is_doubtful=False)
        self._waiting.extendleft(_Sent(part) for part in reversed(by))

    def _refuse(self, bad: Faults) -> None:
        part = self._under_way[0].part
        self.refused |= {int(part.numbers[row]): reason for row, reason in bad.items()}
        self._replace_first(list(part.without(set(bad))))

    def _refused_as_a_whole(self, answer: Any) -> None:
        error = error_of(answer)
        if error.code() is not grpc.StatusCode.INVALID_ARGUMENT:
            self._line.bear(error)  # raises it as one of ours
        part = self._under_way[0].part
        if len(part.rows) == 1:
            self._doubts.refused_alone(error)
            self._refuse({0: (REFUSED, error.details())})
        else:
            self._replace_first(list(part.halves()))
