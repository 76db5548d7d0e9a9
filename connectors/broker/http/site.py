"""All that the HTTP port serves: by path to the REST API, or to one of a few pages."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable, Collection
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
from aiohttp import web

from connectors.broker.engine import Engine
from connectors.broker.errors import Refusal, Unauthenticated
from connectors.broker.http import metrics, status
from connectors.broker.http.bodies import Bodies, Unreadable
from connectors.broker.http.connections import JSON, Connections, headers
from connectors.broker.http.guard import trespass
from connectors.broker.http.page import page
from connectors.broker.http.rest import Answer, Rest, failure, refusal
from connectors.broker.service import Router

__all__ = ["open_site"]

_log = logging.getLogger(__name__)

_STOP_GRACE_S = 0.5
_KEYS = {"/oauth2/v1/certs": "certificates", "/oauth2/v3/certs": "web_keys"}
"""Where Google publishes its own, and what of ``Tokens`` is shown there."""
_QUERY_FIELDS_MAX = 100
_TEXT = "text/plain; charset=utf-8"
_ROOT = b"Ok: the REST API is at /v1/, the status page at /ui, also /healthz and /metrics.\n"
_FORM = "application/x-www-form-urlencoded"


async def open_site(
    sockets: list[socket.socket],
    engine: Engine,
    router: Router,
    hosts: Collection[str],
    encrypted: ssl.SSLContext | None,
) -> Callable[[], Awaitable[None]]:
    """Serve listening sockets; return what ends that.

    Args:
        sockets: to accept connections from.
        engine: to show.
        router: answers calls of the API, and knows who may see pages.
        hosts: names under which browsers may know the broker.
        encrypted: how; None is plain HTTP.
    """
    site = _Site(engine, router, hosts)
    runner = web.ServerRunner(
        Connections(site.answer), handle_signals=False, shutdown_timeout=_STOP_GRACE_S
    )
    await runner.setup()
    for each in sockets:
        await web.SockSite(runner, each, ssl_context=encrypted).start()
    return runner.cleanup


class _Site:
    def __init__(self, engine: Engine, router: Router, hosts: Collection[str]) -> None:
        self._engine, self._hosts = engine, hosts
        self._rest, self._guard = Rest(router.call), router.guard
        self._bodies = Bodies()
        self._open_pages = {
            "/": self._root,
            "/healthz": self._health,
            "/readyz": self._health,
            "/ui": self._page,
            "/ui/": self._page,
        }
        self._pages = {
            "/metrics": self._metrics,
            "/ui/status": self._status,
            "/ui/backlog": self._backlog,
        }

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer any request."""
        reason = trespass(request.headers, self._hosts)
        if reason is not None:
            return _response(failure(403, "PERMISSION_DENIED", f"Refused: {reason}."))
        path = _path(request)
        if path.startswith("/v1/"):
            return await self._call(request, path)
        if path in _KEYS:
            return await self._keys(path)
        show = self._open_pages.get(path) or self._pages.get(path)
        if show is None or request.method not in ("GET", "HEAD"):
            return _response(failure(404, "NOT_FOUND", f"Nothing is at {request.method} {path}."))
        try:
            self._check_known(request, path)
            return show(request)
        except Refusal as error:
            return _response(refusal(error))

    def _check_known(self, request: web.BaseRequest, path: str) -> None:
        """Refuse pages to strangers, where anybody is asked who it is."""
        if self._guard and path not in self._open_pages:
            principal = self._guard.identify(request.headers.get("Authorization", ""))
            if not principal.member:
                raise Unauthenticated(f"{path} needs a bearer token.")

    async def _call(self, request: web.BaseRequest, path: str) -> web.StreamResponse:
        try:
            query = _fields(request.query_string)
            async with self._bodies.read(request) as body:
                return await self._answered(request, path, query, body)
        except Unreadable as error:
            return _response(error.answer)
        except ValueError as error:
            return _response(failure(400, "INVALID_ARGUMENT", f"The query is broken: {error}."))

    async def _answered(
        self, request: web.BaseRequest, path: str, query: dict[str, list[str]], body: bytes
    ) -> web.Response:
        verb = request.method
        if verb == "POST" and "X-HTTP-Method-Override" in request.headers:
            # For clients whose URL would grow too long: the body of such a POST is its query.
            verb = request.headers["X-HTTP-Method-Override"].upper()
            if request.content_type == _FORM:
                query, body = {**query, **_fields(body.decode("utf-8", "replace"))}, b""
        authorization = request.headers.get("Authorization", "")
        return _response(await self._rest.answer(verb, path, query, body, authorization))

    async def _keys(self, path: str) -> web.Response:
        """Show by which keys the tokens of pushes are checked, in one of two forms."""
        tokens = await self._engine.pushing.tokens()
        found = await asyncio.to_thread(lambda: getattr(tokens, _KEYS[path]))
        return _data(msgspec.json.encode(found), JSON)

    def _root(self, _request: web.BaseRequest) -> web.Response:
        return _data(_ROOT, _TEXT)

    def _health(self, _request: web.BaseRequest) -> web.Response:
        reason = self._engine.unready()
        if reason is None:
            return _data(b"ok\n", _TEXT)
        return _data(f"{reason}\n".encode(), _TEXT, status=503)

    def _page(self, _request: web.BaseRequest) -> web.Response:
        shown = page()
        return web.Response(body=shown.body, headers={**headers(shown.kind), **shown.headers})

    def _status(self, request: web.BaseRequest) -> web.Response:
        found = status.status(self._engine, request.query.get("find", ""))
        return _data(msgspec.json.encode(found), JSON)

    def _backlog(self, request: web.BaseRequest) -> web.Response:
        name = request.query.get("subscription", "")
        if self._guard:
            self._guard.admit(name)
        subscription = self._engine.state.subscription(name)
        found = status.peeked(self._engine, subscription, status.PEEK_MESSAGES_MAX)
        return _data(msgspec.json.encode(found), JSON)

    def _metrics(self, _request: web.BaseRequest) -> web.Response:
        return _data(metrics.exposition(self._engine), metrics.CONTENT_TYPE)


def _path(request: web.BaseRequest) -> str:
    """Return the path, percent-encoded; a proxy's client sends the whole URL in its place."""
    path = request.raw_path.partition("?")[0]
    return path if path.startswith("/") else urlsplit(path).path


def _fields(query: str) -> dict[str, list[str]]:
    return parse_qs(
        query, keep_blank_values=True, max_num_fields=_QUERY_FIELDS_MAX, errors="replace"
    )


def _response(answer: Answer) -> web.Response:
    return _data(answer.body, JSON, status=answer.status)


def _data(body: bytes, kind: str, **options: Any) -> web.Response:
    return web.Response(body=body, headers=headers(kind), **options)
