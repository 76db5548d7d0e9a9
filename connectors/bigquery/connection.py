"""One AppendRows call: requests go out in order, answers come back in that order."""

from __future__ import annotations

import queue
import threading
from typing import Any
from urllib.parse import quote

import grpc
from google.cloud.bigquery_storage_v1 import types as api

from connectors.bigquery.forms import Form
from connectors.bigquery.rows import Part
from transforms.errors import TransientError

__all__ = ["Connection", "encode_request"]

METHOD = "/google.cloud.bigquery.storage.v1.BigQueryWrite/AppendRows"
TRACE_ID = "headrace"

# Raw protocol buffers: proto-plus wraps a request at 1.1 million rows a second, these at 48.
_Request = api.AppendRowsRequest.pb()
_Response = api.AppendRowsResponse.pb()


def encode_request(part: Part, *, stream: str = "", offset: int | None = None) -> bytes:
    """Return the bytes of a request.

    Args:
        part: the rows.
        stream: full name, which goes together with the schema of the rows; needed until a
            connection has taken rows.
        offset: where the stream must end for the rows to be appended; None for anywhere.
    """
    request = _Request(write_stream=stream)
    if offset is not None:
        request.offset.value = offset
    if not stream:
        return b"".join((request.SerializeToString(), *part.form.field(part.encoded)))
    part.form.put_rows(request, part.encoded)
    part.form.put_schema(request)
    request.trace_id = TRACE_ID
    return request.SerializeToString()


class Connection:
    """An open call to one stream, for rows of one form. To be used by one thread at a time.

    Args:
        channel: to a server of the Storage API.
        stream: full name of the stream.
        form: of all rows that are sent.
    """

    def __init__(self, channel: grpc.Channel, stream: str, form: Form) -> None:
        self.stream, self.form = stream, form
        self.is_broken = False
        self._is_introduced = False
        self._outgoing: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._incoming: queue.SimpleQueue[Any] = queue.SimpleQueue()
        append = channel.stream_stream(METHOD, None, _Response.FromString)
        routing = (("x-goog-request-params", f"write_stream={quote(stream, safe='')}"),)
        self._call = append(iter(self._outgoing.get, None), metadata=routing)
        threading.Thread(target=self._listen, name="bigquery-answers", daemon=True).start()

    def send(self, part: Part, offset: int | None = None) -> None:
        """Send rows; the answer comes by ``receive``, after those to what was sent before."""
        # A server may have forgotten what came with a request that it refused.
        stream = "" if self._is_introduced else self.stream
        self._outgoing.put(encode_request(part, stream=stream, offset=offset))

    def receive(self, timeout_s: float) -> Any:
        """Return the next answer, an ``AppendRowsResponse``.

        Raises:
            grpc.RpcError: the call has ended; what was not answered may be appended or not.
            TransientError: no answer came in time; the same holds.
        """
        try:
            answer = self._incoming.get(timeout=timeout_s)
        except queue.Empty:
            answer = TransientError(f"no answer to an append to {self.stream} for {timeout_s:g} s")
        if isinstance(answer, BaseException):
            self.close()
            raise answer
        if not answer.HasField("error"):
            self._is_introduced = True
        return answer

    def close(self) -> None:
        """End the call. It may be called again."""
        self.is_broken = True
        self._outgoing.put(None)
        self._call.cancel()

    @property
    def is_idle_and_open(self) -> bool:
        """Whether the server still listens, as far as is known, and owes no answer."""
        return not self.is_broken and self._call.is_active() and self._incoming.empty()

    def _listen(self) -> None:
        try:
            for answer in self._call:
                self._incoming.put(answer)
        except grpc.RpcError as error:
            self._incoming.put(error)
        else:
            self._incoming.put(TransientError(f"the server closed the connection to {self.stream}"))
        finally:
            self._outgoing.put(None)  # else gRPC's thread waits for requests for ever
