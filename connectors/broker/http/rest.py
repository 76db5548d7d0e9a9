"""The REST API: an HTTP request to a call of the API, and its answer back.

No I/O and nothing of an HTTP library: bytes in, bytes out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, NamedTuple

import grpc
import msgspec

from connectors.broker import schema
from connectors.broker.errors import InvalidArgument
from connectors.broker.http import json_form
from connectors.broker.http.routes import Match, match
from connectors.broker.statuses import status_of

__all__ = ["Answer", "Call", "Rest", "failure", "refusal"]

Call = Callable[[str, bytes, str], Awaitable[bytes]]
"""Calls a method by its full name; request and response as on gRPC's wire, and who calls."""

_LARGE_BYTES = 64 << 10
_HTTP_CODES = {
    grpc.StatusCode.OK: 200,
    grpc.StatusCode.CANCELLED: 499,
    grpc.StatusCode.UNKNOWN: 500,
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.ALREADY_EXISTS: 409,
    grpc.StatusCode.PERMISSION_DENIED: 403,
    grpc.StatusCode.UNAUTHENTICATED: 401,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.ABORTED: 409,
    grpc.StatusCode.OUT_OF_RANGE: 400,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.INTERNAL: 500,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DATA_LOSS: 500,
}
"""As https://cloud.google.com/apis/design/errors maps them."""

# What every Google API takes in a query. They change nothing here, or are handled in ``_Form``.
_SYSTEM = frozenset(
    {
        "$.xgafv", "$alt", "$prettyPrint", "$xgafv", "access_token", "alt", "key", "oauth_token",
        "pp", "prettyPrint", "quotaUser", "uploadType", "upload_protocol",
    }
)  # fmt: skip


class Answer(NamedTuple):
    """An HTTP status and a JSON body."""

    status: int
    body: bytes


class _Form(NamedTuple):
    """How the client wants its answer."""

    pretty: bool
    enums_as_numbers: bool


class Rest:
    """The REST API of whatever answers the calls."""

    def __init__(self, call: Call) -> None:
        self._call = call

    async def answer(
        self,
        verb: str,
        path: str,
        query: Mapping[str, list[str]],
        body: bytes,
        authorization: str = "",
    ) -> Answer:
        """Answer a request.

        Args:
            verb: of HTTP, in upper case.
            path: still percent-encoded, from ``/v1/`` on.
            query: decoded; all values of each name.
            body: uncompressed.
            authorization: the header of that name.
        """
        found = match(verb, path)
        if found is None:
            text = f"{verb} {path} is no method of the Pub/Sub API."
            return failure(404, grpc.StatusCode.NOT_FOUND.name, text)
        try:
            return await self._answer(found, query, body, authorization)
        except Exception as error:  # noqa: BLE001 - all that is no refusal is our own fault
            return refusal(error)

    async def _answer(
        self, found: Match, query: Mapping[str, list[str]], body: bytes, authorization: str
    ) -> Answer:
        form = _form(query)
        method = schema.service(found.route.service).methods_by_name[found.route.method]
        request = await _aside(len(body), _request, found, query, body)
        response = await self._call(found.route.full_method, request, authorization)
        kind = schema.message(method.output_type.full_name)
        return Answer(200, await _aside(len(response), _shown, kind, response, form))


def refusal(error: Exception) -> Answer:
    """Return the answer for a call that has failed."""
    code, text = status_of(error)
    info = getattr(error, "info", None)
    return failure(_HTTP_CODES[code], code.name, text, info)


def failure(status: int, name: str, text: str, info: Any = None) -> Answer:
    """Return an error in the form that Google's APIs give it.

    Args:
        status: of HTTP.
        name: of gRPC's status.
        text: for the reader.
        info: reason, domain and metadata where a client may act on them.
    """
    error = {"code": status, "message": text, "status": name}
    if info is not None:
        kind = "type.googleapis.com/google.rpc.ErrorInfo"
        error["details"] = [{"@type": kind, **info._asdict()}]
    return Answer(status, msgspec.json.format(msgspec.json.encode({"error": error})) + b"\n")


async def _aside(size_bytes: int, work: Callable[..., bytes], *arguments: Any) -> bytes:
    """Convert in another thread what is large, so that nobody waits for it meanwhile."""
    if size_bytes < _LARGE_BYTES:
        return work(*arguments)
    return await asyncio.to_thread(work, *arguments)


def _request(found: Match, query: Mapping[str, list[str]], body: bytes) -> bytes:
    """Return the request of the API that path, query and body amount to."""
    route, resource = found
    descriptor = schema.service(route.service).methods_by_name[route.method].input_type
    kind = schema.message(descriptor.full_name)
    given = json_form.decode_json(body)
    if given and not route.body:
        raise InvalidArgument("request", f"{len(body)} bytes", f"{route.method} takes no body")
    value = given if route.body in ("", "*") else {route.body: given}
    for name in query.keys() - _SYSTEM:
        if route.body == "*":
            raise InvalidArgument("query", repr(name), "give it in the body")
        json_form.put(value, name, json_form.query_value(kind, name, query[name]))
    json_form.put(value, route.field, resource)  # last: the path is what counts
    return bytes(json_form.from_json(kind, value).SerializeToString())


def _shown(kind: Any, response: bytes, form: _Form) -> bytes:
    return json_form.to_json(
        kind.FromString(response), pretty=form.pretty, enums_as_numbers=form.enums_as_numbers
    )


def _form(query: Mapping[str, list[str]]) -> _Form:
    """Read what every Google API takes.

    Raises:
        InvalidArgument: the answer is wanted in a form that is not made here.
    """
    alt = _last(query, ("$alt", "alt"), "json")
    media, *options = alt.split(";")
    if media != "json":
        raise InvalidArgument("alt", repr(alt), "must be json")
    pretty = _last(query, ("$prettyPrint", "prettyPrint", "pp"), "true")
    return _Form(pretty not in ("false", "0"), "enum-encoding=int" in options)


def _last(query: Mapping[str, list[str]], names: tuple[str, ...], default: str) -> str:
    for name in names:
        if name in query:
            return query[name][-1]
    return default
