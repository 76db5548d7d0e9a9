"""Write streams: which requests they accept, as pure functions from state to state.

    CREATE -> append* -> finalize            COMMITTED: a row is visible when its append is answered
    CREATE -> append* -> finalize -> commit  PENDING: nothing is visible before the commit
    CREATE -> (append | flush)* -> finalize  BUFFERED: rows up to a flushed offset are visible

An offset is the index of a row in its stream. An append with an offset succeeds only where the
stream ends; below it the rows are in already (ALREADY_EXISTS), beyond it rows are missing
(OUT_OF_RANGE). A refused request changes nothing, and the connection goes on. The words of the
messages and the codes are those that Google's own integration tests of its Java client expect
(googleapis/java-bigquerystorage, ITBigQueryWriteManualClientTest).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from connectors.bigquery_local.errors import Code, Refusal, StorageCode

__all__ = [
    "Kind",
    "Stream",
    "appended",
    "commit_error",
    "committed",
    "finalized",
    "flushed",
]


class Kind(Enum):
    """The type of a stream; the numbers are those of ``WriteStream.Type``."""

    COMMITTED = 1
    PENDING = 2
    BUFFERED = 3


@dataclass(frozen=True)
class Stream:
    """The state of one application-created stream.

    Args:
        name: the full name.
        table: uid of the table that it was created for.
        kind: its type.
        created_us: microseconds since the epoch.
        rows: that were appended; the next offset.
        visible: how many of them readers see.
        closed: it was finalized.
        committed_us: when it was committed, in microseconds since the epoch; 0 is never.
    """

    name: str
    table: str
    kind: Kind
    created_us: int
    rows: int = 0
    visible: int = 0
    closed: bool = False
    committed_us: int = 0


def appended(stream: Stream, offset: int | None, count: int) -> Stream:
    """Return the stream after an append.

    Args:
        stream: before.
        offset: where the client wants the first row; None is the end.
        count: of rows.

    Raises:
        Refusal: the stream is finalized, or does not end at the offset.
    """
    if stream.closed:
        raise _refusal(
            Code.INVALID_ARGUMENT,
            StorageCode.STREAM_FINALIZED,
            "Stream has been finalized and cannot be appended.",
            stream,
        )
    if offset is not None and offset < stream.rows:
        raise _refusal(
            Code.ALREADY_EXISTS,
            StorageCode.OFFSET_ALREADY_EXISTS,
            f"The offset is within stream, expected offset {stream.rows}, received {offset}",
            stream,
        )
    if offset is not None and offset > stream.rows:
        raise _refusal(
            Code.OUT_OF_RANGE,
            StorageCode.OFFSET_OUT_OF_RANGE,
            f"The offset is beyond stream, expected offset {stream.rows}, received {offset}",
            stream,
        )
    rows = stream.rows + count
    return replace(stream, rows=rows, visible=_visible_after_append(stream, rows))


def _visible_after_append(stream: Stream, rows: int) -> int:
    return rows if stream.kind is Kind.COMMITTED else stream.visible


def flushed(stream: Stream, offset: int) -> Stream:
    """Return the stream after a flush up to and with the row at ``offset``.

    A flush below what was flushed before changes nothing.

    Raises:
        Refusal: the stream is not BUFFERED, or has no row at the offset.
    """
    if stream.kind is not Kind.BUFFERED:
        raise _refusal(
            Code.INVALID_ARGUMENT,
            StorageCode.INVALID_STREAM_TYPE,
            f"FlushRows needs a BUFFERED stream; this one is {stream.kind.name}.",
            stream,
        )
    if not 0 <= offset < stream.rows:
        raise _refusal(
            Code.OUT_OF_RANGE,
            StorageCode.OFFSET_OUT_OF_RANGE,
            f"Offset {offset} is beyond the end of the stream, which has {stream.rows} rows.",
            stream,
        )
    return replace(stream, visible=max(stream.visible, offset + 1))


def finalized(stream: Stream) -> Stream:
    """Return the stream after it was finalized; again is no error."""
    return replace(stream, closed=True)


def commit_error(stream: Stream) -> tuple[StorageCode, str] | None:
    """Return why the stream can't be committed, or None where it can."""
    if stream.kind is not Kind.PENDING:
        return (
            StorageCode.INVALID_STREAM_TYPE,
            f"Only PENDING streams are committed; this one is {stream.kind.name}.",
        )
    if stream.committed_us:
        return StorageCode.STREAM_ALREADY_COMMITTED, "The stream is already committed."
    if not stream.closed:
        return StorageCode.INVALID_STREAM_STATE, "The stream must be finalized before the commit."
    return None


def committed(stream: Stream, now_us: int) -> Stream:
    """Return the stream after its commit; ``commit_error`` has been asked."""
    return replace(stream, committed_us=now_us, visible=stream.rows)


def _refusal(code: Code, storage: StorageCode, text: str, stream: Stream) -> Refusal:
    return Refusal(code, text, storage=storage, entity=stream.name)
