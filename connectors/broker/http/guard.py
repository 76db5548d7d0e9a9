"""Who may speak to the broker over HTTP: what a browser sends for a foreign page is refused.

A browser lets any page send requests to loopback. Two rules keep those out, without cookies or
tokens: the request must name a host that no foreign page can be on (against DNS rebinding), and
where the browser says which page it is for, that must be one of ours.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Mapping
from urllib.parse import urlsplit

__all__ = ["trespass"]


def trespass(headers: Mapping[str, str], hosts: Collection[str]) -> str | None:
    """Return why a request is refused, None if it is not.

    A host is trusted if it is an address, ``localhost``, a name without a dot, which is one of the
    local network, or among ``hosts``.

    Args:
        headers: of the request; names in any case.
        hosts: names that are trusted besides, in lower case.
    """
    host = headers.get("Host", "")
    name = _name(host)
    if not _local(name) and name not in hosts:
        return f"Host {host!r} is not trusted; if it is yours, start with --allow-host {name}"
    origin = headers.get("Origin")
    if origin is not None and origin.partition("://")[2] != host:
        return f"Origin {origin!r} is another site than {host!r}"
    if (
        headers.get("Sec-Fetch-Site") == "cross-site"
        and headers.get("Sec-Fetch-Mode") != "navigate"
    ):
        return "this is asked for by a page of another site"
    return None


def _local(name: str) -> bool:
    if "." not in name or name.endswith(".localhost"):
        return True
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _name(host: str) -> str:
    """Return the name in a Host header, without its port and brackets, in lower case."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return host.lower()
