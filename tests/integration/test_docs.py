"""The commands of the pages work as they stand there, and give what they show."""

import contextlib
import io
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions

from connectors.bigquery.session import session
from connectors.bigquery_local import Server
from connectors.broker import Broker
from pipelines import launch
from pipelines.docs import PAGES
from pipelines.launch import beam_parser
from pipelines.params import parse_flags
from tests.commands import PIPELINES, ROOT, module_of

pytestmark = pytest.mark.integration

_BLOCK = re.compile(r"^```(console|python)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_SERVERS = ("source ", "export ", "python -m connectors.")
"""Commands in whose place the fixture stands."""
_FIGURE = re.compile(r"([\d,]+) (read|written|published|dup|filtered|dead|files merged|files made)")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Work in a folder with the demo's schema; broker and BigQuery run, and all is set up."""
    (tmp_path / "pipelines").symlink_to(ROOT / "pipelines")
    monkeypatch.chdir(tmp_path)
    with (
        Broker(data_dir=tmp_path / "broker") as broker,
        Server(project="test-project") as server,
        monkeypatch.context() as patch,
    ):
        patch.setenv("PUBSUB_EMULATOR_HOST", broker.address)
        patch.setenv("BIGQUERY_EMULATOR_HOST", server.rest_endpoint)
        patch.setenv("BIGQUERY_STORAGE_EMULATOR_HOST", server.grpc_endpoint)
        (setting_up,) = [code for kind, code in blocks("README") if kind == "python"]
        exec(setting_up, {})
        yield tmp_path
        session().close()


def blocks(page: str) -> list[tuple[str, str]]:
    """Return the blocks of a page: their language, and what they hold."""
    return _BLOCK.findall((PAGES / f"{page}.md").read_text(encoding="utf-8"))


def build_only(pipeline: str, argv: list[str]) -> None:
    """Build the graph of a job for Dataflow."""
    params, rest = parse_flags(module_of(pipeline).Params, argv, beam_parser())
    # dry_run: Beam would look for the buckets and wait two minutes without a network.
    offline = ["--staging_location=gs://my-bucket/staging", "--dry_run=True"]
    graph = beam.Pipeline(options=PipelineOptions([*rest, *offline]))
    module_of(pipeline).build(graph, params)
    graph.to_runner_api(use_fake_coders=True)


def run(pipeline: str, argv: list[str], shown: str, log: pytest.LogCaptureFixture) -> None:
    """Run a command; one that would go on is drained. Compare its last line."""
    if "--runner=DataflowRunner" in argv:
        build_only(pipeline, argv)
        return
    endless = ["--max_seconds=1s", "--on_stop=drain"] if "--runner=local" in argv else []
    log.clear()
    with log.at_level("INFO", "headrace"):
        assert launch.status(module_of(pipeline), [*argv, *endless]) == 0, log.text
    if shown:
        lines = [text for text in log.messages if _FIGURE.search(text)]
        assert _FIGURE.findall(lines[-1]) == _FIGURE.findall(shown)


def execute(block: str, log: pytest.LogCaptureFixture) -> None:
    """Run the commands of a block, each with what it shows."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, shown = part.partition("\n")
        words = shlex.split(command)
        if command.startswith(_SERVERS):
            continue
        if words[:2] == ["python", "-c"]:
            said = io.StringIO()
            with contextlib.redirect_stdout(said):
                exec(words[2], {})
            assert said.getvalue() == shown
        else:
            assert words[:2] == ["python", "-m"]
            run(words[2].removeprefix("pipelines."), words[3:], shown, log)


@pytest.mark.parametrize("page", PIPELINES)
def test_page(folder: Path, caplog: pytest.LogCaptureFixture, page: str) -> None:
    """All blocks of a page, in their order, after what the first page sets up."""
    assert folder
    names: dict[str, object] = {}
    for kind, content in blocks(page):
        if kind == "python":
            exec(content, names)
        else:
            execute(content, caplog)
