"""The status page: one file, and the headers that keep everything else out of it."""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from importlib import resources
from typing import NamedTuple

__all__ = ["Page", "page"]


class Page(NamedTuple):
    """A page and how it is to be sent."""

    body: bytes
    kind: str
    headers: dict[str, str]


@cache
def page() -> Page:
    """Return the status page. A browser runs its own script and style, and no others."""
    body = resources.files("connectors.broker.http").joinpath("status.html").read_bytes()
    policy = (
        "default-src 'none'; connect-src 'self'; img-src data:; base-uri 'none';"
        " form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script';"
        f" script-src '{_digest(body, 'script')}'; style-src '{_digest(body, 'style')}'"
    )
    headers = {
        "Content-Security-Policy": policy,
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        "X-Frame-Options": "DENY",
    }
    return Page(body, "text/html; charset=utf-8", headers)


def _digest(body: bytes, tag: str) -> str:
    """Return the digest of what is between the only two tags of that name, as a policy has it."""
    (content,) = re.findall(rf"<{tag}>(.*)</{tag}>".encode(), body, re.DOTALL)
    return "sha256-" + base64.b64encode(hashlib.sha256(content).digest()).decode()
