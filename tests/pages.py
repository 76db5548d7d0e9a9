"""The pages of the documentation: which there are, and what stands in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tests.commands import ROOT

__all__ = ["PAGES", "Block", "anchors", "blocks", "links"]

_PATTERNS = (
    "README.md", "docs/**/*.md", "connectors/*/README.md", "runners/local/README.md",
    "templates/README.md", "templates/*/README.md",
)  # fmt: skip
PAGES = sorted({str(path.relative_to(ROOT)) for each in _PATTERNS for path in ROOT.glob(each)})
"""Paths below the folder of the clone."""

_FENCED = re.compile(r"^```(?P<kind>[\w-]*)\n(?P<text>.*?)^```", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`[^`\n]*`")
_LINK = re.compile(r"!?\[(?:[^\[\]]|\[[^\[\]]*\])*\]\((?P<target>[^()\s]+)\)")


@dataclass(frozen=True)
class Block:
    """A block of code: its language, what it holds, and its line in the page."""

    kind: str
    text: str
    line: int


def _text(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: str) -> list[Block]:
    """Return the blocks of a page, in their order."""
    text = _text(page)
    found = _FENCED.finditer(text)
    return [
        Block(each["kind"], each["text"], text.count("\n", 0, each.start()) + 2) for each in found
    ]


def _prose(page: str) -> str:
    return _FENCED.sub("", _text(page))


def links(page: str) -> Iterator[str]:
    """Yield the targets of the links of a page, as they are written."""
    for each in _LINK.finditer(_CODE.sub("", _prose(page))):
        yield each["target"]


def anchors(page: str) -> set[str]:
    """Return the names that GitHub gives to the headings of a page."""
    names: list[str] = []
    for heading in re.findall(r"^#{1,6} +(.*?) *$", _prose(page), re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").lower()
        name = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        again = sum(1 for each in names if re.fullmatch(rf"{re.escape(name)}(-\d+)?", each))
        names.append(f"{name}-{again}" if again else name)
    return set(names)
