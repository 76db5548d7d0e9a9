"""A connection to one stream that is opened again when it breaks, for a bounded time."""

from __future__ import annotations

import time
from collections.abc import Callable

import grpc

from connectors import retry
from connectors.bigquery.answers import AppendError
from connectors.bigquery.connection import Connection
from connectors.bigquery.forms import Form
from connectors.bigquery.patience import Patience
from connectors.bigquery.session import OUTAGE, Session
from connectors.table_name import TableName
from transforms.errors import HeadraceError, PermanentError, TransientError

__all__ = ["ANSWER_S", "Doubts", "Line"]

ANSWER_S = 120.0
"""How long an answer may take. BigQuery says of appends: usually well below a second."""

REFUSED_ALONE_MAX = 16
"""Rows that may be refused one by one, without a reason by row, and none taken between them."""


class Line:
    """Holds the connection to a stream, and the patience with its server.

    Args:
        session: where connections come from.
        table: that is written to.
        outage: how long transient errors are borne, from the first one after a success.
    """

    def __init__(
        self,
        session: Session,
        table: TableName,
        outage: retry.Backoff = OUTAGE,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.session, self.table = session, table
        self._patience = Patience(outage, sleep)
        self._connection: Connection | None = None

    def connection(self, stream: str, form: Form) -> Connection:
        """Return the open connection to a stream for rows of a form.

        Of another stream or form nothing may be under way.
        """
        held = self._connection
        if held is None or held.stream != stream or held.form != form:
            self.release()
            held = self._connection = self.session.take(stream, form)
        return held

    def release(self) -> None:
        """Give the connection back; nothing may be under way."""
        if self._connection is not None:
            self.session.give_back(self._connection)
            self._connection = None

    def hang_up(self) -> None:
        """End the connection, whatever is under way."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def succeeded(self) -> None:
        """Note that the server has taken something."""
        self._patience.restore()
        self.session.seen(self.table)

    def bear(self, error: BaseException) -> None:
        """Wait a while after a transient error.

        Raises:
            HeadraceError: the error is not transient, or the patience is used up.
        """
        translated = retry.translate(error, self.session.subject(self.table))
        is_missing = retry.status(error) is grpc.StatusCode.NOT_FOUND
        try:
            self._patience.bear(translated, may_pass=is_missing and self.session.is_new(self.table))
        except HeadraceError:
            self.hang_up()
            raise translated from error

    def schema_changed(self) -> TransientError:
        """Return the error to raise when the table has other columns than we thought."""
        self.session.forget(self.table)
        self.hang_up()
        return TransientError(
            f"table {self.table} has got other columns; they are read anew when the rows are "
            "tried again"
        )


class Doubts:
    """Decides whether a request that was refused as a whole is worth halving.

    BigQuery tells which rows it refuses. If it does not, the rows are halved until the bad ones
    stand alone; but when nothing at all is taken the fault is not in the rows.
    """

    def __init__(self, line: Line) -> None:
        self._line = line
        self._alone = 0

    def taken(self) -> None:
        """Note that rows were taken."""
        self._alone = 0

    def refused_alone(self, error: AppendError) -> None:
        """Note that a single row was refused.

        Raises:
            PermanentError: so many were that the rows can't be the reason.
        """
        self._alone += 1
        if self._alone > REFUSED_ALONE_MAX:
            self._line.hang_up()
            raise PermanentError(
                f"table {self._line.table} takes no row at all: {error}. Compare the columns of "
                "the rows with those of the table"
            ) from error
