"""Lists in pages: the token of the next page is the last name of this one."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from typing import Any

from connectors.broker import limits
from connectors.broker.errors import InvalidArgument

__all__ = ["page"]


def page(names: Iterable[str], request: Any) -> tuple[list[str], str]:
    """Return the names of a page, sorted, and the token of the next, empty if there is none.

    Args:
        names: of the whole list.
        request: with ``page_size`` and ``page_token``.

    Raises:
        InvalidArgument: the page size is negative.
    """
    if request.page_size < 0:
        raise InvalidArgument("page_size", request.page_size, "must not be negative")
    size = min(request.page_size or limits.PAGE_SIZE_DEFAULT, limits.PAGE_SIZE_MAX)
    ordered = sorted(names)
    start = bisect_right(ordered, request.page_token)
    found = ordered[start : start + size]
    return found, found[-1] if start + size < len(ordered) else ""
