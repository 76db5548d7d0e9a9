"""The commands of the pages work as they stand there, in their order, and give what they show."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.bigquery.session import session
from connectors.bigquery_local import Server
from connectors.broker import Broker
from tests.commands import ROOT
from tests.examples import bucket, clone
from tests.page_commands import NOT_DONE, SHOWN, Doing, commands, embedded
from tests.pages import PAGES, blocks
from transforms import metrics

pytestmark = pytest.mark.integration

_SET_UP = "docs/pipelines/README.md"
_AFTER_SET_UP = ("docs/pipelines/", "docs/lake.md")
_GENERATED = [page for page in PAGES if page.startswith("templates/") and page.count("/") == 2]
_WITH_COMMANDS = [
    page
    for page in PAGES
    if page not in (*_GENERATED, _SET_UP) and any(block.kind == "console" for block in blocks(page))
]


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Cloud Storage with the bucket that the examples name."""
    folder = tmp_path_factory.mktemp("storage")
    with pytest.MonkeyPatch.context() as patch, bucket(folder, patch) as url:
        yield url


@pytest.fixture
def folder(tmp_path: Path, cloud: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Work in a folder like a clone; broker, BigQuery and Cloud Storage run."""
    monkeypatch.chdir(clone(tmp_path))
    monkeypatch.setattr("templates.home.running.broker", embedded)
    with (
        Broker(data_dir=tmp_path / "broker") as broker,
        Server(project="test-project") as server,
        monkeypatch.context() as patch,
    ):
        patch.setenv("PUBSUB_EMULATOR_HOST", broker.address)
        patch.setenv("BIGQUERY_EMULATOR_HOST", server.rest_endpoint)
        patch.setenv("BIGQUERY_STORAGE_EMULATOR_HOST", server.grpc_endpoint)
        patch.setenv("STORAGE_EMULATOR_HOST", cloud)
        yield tmp_path
        session().close()


def do_page(page: str, names: dict[str, object], doing: Doing) -> None:
    """Do all blocks: Python in the names of those before it.

    The Python of a package's page shows parts of programs, which tests of the package have whole.
    """
    for block in blocks(page):
        if block.kind == "python":
            code = compile(block.text, f"{page}:{block.line}", "exec")
            if page.startswith(("docs/", "README")):
                exec(code, names)
        elif block.kind == "console":
            for command in commands(block):
                doing.do(command)


def counters(page: str) -> set[str]:
    """Return the metrics that the page of a pipeline names; the only ones that it may count."""
    _, _, section = (ROOT / page).read_text(encoding="utf-8").partition("\n## Monitoring\n")
    known = {metric.name for metric in metrics.TABLE} - {metrics.BACKLOG.name}
    named = set(re.findall(r"`(\w+)`", section.partition("\n## ")[0])) & known
    return named | {metrics.BACKLOG.name} if named else set()


@pytest.mark.parametrize("page", _WITH_COMMANDS)
def test_page(
    folder: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, page: str
) -> None:
    """All blocks of a page, in their order, where it says so after what another one sets up."""
    assert folder
    names: dict[str, object] = {}
    doing = Doing(caplog, monkeypatch, rehearses=page == "docs/templates/simulate.md")
    if page.startswith(_AFTER_SET_UP):
        do_page(_SET_UP, names, doing)
    do_page(page, names, doing)
    told = counters(page)
    assert not told or {each for name, each in doing.counted if name == Path(page).stem} <= told


@pytest.mark.parametrize("page", _GENERATED)
def test_generated_page(page: str) -> None:
    """Its commands are those of the page in docs, which are done."""
    name = page.split("/")[1]
    done = {each.text for block in blocks(f"docs/pipelines/{name}.md") for each in commands(block)}
    ours = {
        each.text for block in blocks(page) if block.kind == "console" for each in commands(block)
    }
    assert ours
    assert ours <= done


def test_nothing_is_left_out_without_need() -> None:
    """Each reason is that of a command, and the tests that it names are there."""
    found = [each for page in PAGES for block in blocks(page) for each in commands(block)]
    for start in NOT_DONE:
        assert [each for each in found if each.text.startswith(start)], start
    shown = {
        page
        for page in PAGES
        for block in blocks(page)
        if block.kind != "console" and re.search(r"^\$ ", block.text, re.MULTILINE)
    }
    assert shown == set(SHOWN)
    for reason in (*NOT_DONE.values(), *SHOWN.values()):
        for word in reason.split():
            assert not word.startswith("tests/") or (ROOT / word).is_file()
