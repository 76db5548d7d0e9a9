"""``make docs`` makes a site of all pages, and every link on it leads somewhere."""

import re
import shlex
import subprocess
import urllib.parse
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.commands import ROOT
from tests.pages import PAGES
from tests.processes import python

pytestmark = pytest.mark.integration

LIMIT_S = 120


class Page(HTMLParser):
    """Where a page leads, what it loads, and the places in it."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.places: set[str] = set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note links and ids."""
        found = dict(attrs)
        self.places |= {text for name in ("id", "name") if (text := found.get(name))}
        if tag == "a" and (link := found.get("href")):
            self.links.append(link)
        elif link := found.get("src") or found.get("href"):
            self.loads.append(link)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site as the Makefile makes it, in a folder of the test's own."""
    folder = tmp_path_factory.mktemp("site")
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    (command,) = re.findall(r"^\t\$\(BIN\)/python (-m sphinx .*)$", text, re.MULTILINE)
    words = shlex.split(command.replace("build/", f"{folder}/"))
    assert {"-W", "--keep-going"} <= set(words)
    made = python(*words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    said, _ = made.communicate(timeout=LIMIT_S)
    assert made.returncode == 0, said
    return folder / "docs"


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    return {path: Page(path) for path in sorted(site.rglob("*.html"))}


def broken(pages: dict[Path, Page], here: Path, link: str) -> bool:
    """Return whether a link leads nowhere."""
    parts = urllib.parse.urlsplit(link)
    path = (here.parent / urllib.parse.unquote(parts.path)).resolve() if parts.path else here
    if not path.is_file():
        return True
    return bool(parts.fragment) and parts.fragment not in pages[path].places


def ours(links: list[str]) -> Iterator[str]:
    return (each for each in links if not urllib.parse.urlsplit(each).scheme)


def test_every_page_is_there(site: Path) -> None:
    """With the page of each folder under the name that a server shows for it."""
    for page in PAGES:
        assert (site / page).with_suffix(".html").is_file()
    assert (site / "index.html").read_text() == (site / "README.html").read_text()


def test_links(pages: dict[Path, Page]) -> None:
    """Pages, files and headings are there."""
    assert len(pages) >= len(PAGES)
    nowhere = [
        (path.name, link)
        for path, page in pages.items()
        for link in ours([*page.links, *page.loads])
        if broken(pages, path, link)
    ]
    assert nowhere == []


def test_a_page_needs_nothing_from_elsewhere(pages: dict[Path, Page]) -> None:
    """No font, script or image is asked of another server: the site works without a network."""
    foreign = {each for page in pages.values() for each in page.loads if "//" in each}
    assert foreign == set()
