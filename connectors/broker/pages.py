"""Lists in pages: by name, each page with a token from which the next goes on."""

from __future__ import annotations

import binascii
import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from bisect import bisect_right
from collections.abc import Iterable
from typing import Any

from connectors.broker import limits
from connectors.broker.errors import InvalidArgument

__all__ = ["page"]

_MARK_BYTES = 4


def page(names: Iterable[str], request: Any) -> tuple[list[str], str]:
    """Return the names of a page, sorted, and the token of the next, empty if there is none.

    What is created or deleted between two pages is in the later one or not; all else is in one.

    Args:
        names: of the whole list.
        request: of a list method: what it lists, ``page_size`` and ``page_token``.

    Raises:
        InvalidArgument: the page size is negative, or the token was not given out for this list.
    """
    if request.page_size < 0:
        raise InvalidArgument("page_size", request.page_size, "must not be negative")
    size = min(request.page_size or limits.PAGE_SIZE_DEFAULT, limits.PAGE_SIZE_MAX)
    scope = _scope(request)
    ordered = sorted(names)
    start = bisect_right(ordered, _last(request.page_token, scope)) if request.page_token else 0
    found = ordered[start : start + size]
    more = start + size < len(ordered)
    return found, _token(found[-1], scope) if more else ""


def _scope(request: Any) -> str:
    """Return what is listed: the method's own request type, and its first field."""
    kind = request.DESCRIPTOR
    return f"{kind.name} {getattr(request, kind.fields_by_number[1].name)}"


def _token(last: str, scope: str) -> str:
    return urlsafe_b64encode(_mark(last, scope) + last.encode()).decode()


def _last(token: str, scope: str) -> str:
    """Return the last name of the page before."""
    try:
        raw = urlsafe_b64decode(token.encode())
        last = raw[_MARK_BYTES:].decode()
    except (binascii.Error, UnicodeError):
        raw, last = b"", ""
    if raw[:_MARK_BYTES] != _mark(last, scope):
        raise InvalidArgument("page_token", repr(token), "was not given out for this list")
    return last


def _mark(last: str, scope: str) -> bytes:
    return zlib.crc32(f"{scope}\n{last}".encode()).to_bytes(_MARK_BYTES, "big")
