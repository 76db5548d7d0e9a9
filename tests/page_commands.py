"""The commands of the pages, done in this process as far as a machine without an account can.

A command of the cloud goes as far as its request: ``launch`` prints it, ``build`` prints what an
engine would be told, gcloud's are parsed. What is not done at all stands in ``NOT_DONE``, with why.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import apache_beam as beam
import pytest
import yaml
from apache_beam.options.pipeline_options import PipelineOptions

from connectors.bigquery_local.__main__ import _parser as bigquery_parser
from connectors.bigquery_local.__main__ import _spelled as bigquery_spelled
from connectors.broker import Broker
from connectors.broker.__main__ import _parser as broker_parser
from connectors.broker.__main__ import _spelled as broker_spelled
from pipelines import launch
from pipelines.launch import beam_parser
from pipelines.params import parse_flags
from templates import command as templates
from templates.flags import parser
from templates.home.embedded import ADDRESS, declaration
from tests.commands import ROOT, module_of
from tests.pages import Block
from transforms import metrics

__all__ = ["NOT_DONE", "SHOWN", "Command", "Doing", "commands", "embedded"]

NOT_DONE = {
    "source .venv/bin/activate": "the tests' own environment is the same",
    "pip install": "asks a package index; the lock has installed all extras",
    "curl": "tests/integration/test_bigquery_local_rest.py asks the same over HTTP",
    "make demo": "tests/integration/test_demo.py runs it, and kills it",
}
"""The beginnings of commands that no test of pages does, and why."""

SHOWN = {
    "docs/templates/build.md": "asks an engine, as tests/integration/test_templates_build.py does",
    "docs/templates/classic.md": "as tests/integration/test_templates_classic.py does",
}
"""Pages with commands in blocks that are no ``console``, which are not done, and why."""

_FIGURE = re.compile(
    r"([\d,]+) (read|made|written|published|dup|filtered|dead|routed|files merged|files made)"
)
_GCLOUD = ("dataflow", "pubsub", "builds", "artifacts", "storage", "auth", "projects", "iam")
_REDIRECTED = re.compile(r" > (\S+)$")


@dataclass(frozen=True)
class Command:
    """A command of a page: its words, what it shows, and where its output goes."""

    text: str
    shown: str
    to: str | None = None

    @property
    def words(self) -> list[str]:
        """The command as a shell takes it apart, without what sends it to the background."""
        return shlex.split(self.text.removesuffix("&"))

    @property
    def reason(self) -> str | None:
        """Why it is not done; None for what is."""
        return next((why for start, why in NOT_DONE.items() if self.text.startswith(start)), None)


def commands(block: Block) -> Iterator[Command]:
    """Yield the commands of a block of the language ``console``."""
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        text, _, shown = part.replace("\\\n", " ").partition("\n")
        redirected = _REDIRECTED.search(text)
        yield Command(_REDIRECTED.sub("", text), shown, redirected[1] if redirected else None)


@contextlib.contextmanager
def embedded(folder: Path, texts: Mapping[str, str], port: int = 0) -> Iterator[str]:
    """Be ``templates.home.embedded.broker`` without the seconds that a process takes to start."""
    del port
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "declared.json"
    config.write_text(json.dumps(declaration(texts)))
    with (
        Broker(data_dir=folder / "data", config=config) as broker,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv(ADDRESS, broker.address)
        yield broker.address


class Doing:
    """Does commands in the working directory, one after the other.

    Args:
        log: where pipelines tell what they have done.
        patch: of the environment.
        rehearses: whether launches are simulated; each of the templates is, once, by other tests.
    """

    def __init__(
        self, log: pytest.LogCaptureFixture, patch: pytest.MonkeyPatch, *, rehearses: bool = False
    ) -> None:
        self._log = log
        self._patch = patch
        self._rehearses = rehearses
        self.counted: set[tuple[str, str]] = set()
        """Pipelines, and the metrics that they have changed."""

    def do(self, command: Command) -> None:
        """Do a command and compare what it says.

        Raises:
            AssertionError: it fails, shows something else, or nobody knows how to do it.
        """
        if command.reason is not None:
            return
        words = command.words
        for start, how in _HOW.items():
            if tuple(words[: len(start)]) == start:
                how(self, command, words[len(start) :])
                return
        raise AssertionError(f"nobody knows how to do: {command.text}")

    @contextlib.contextmanager
    def _counting(self, pipeline: str) -> Iterator[None]:
        def note(metric: metrics.Metric, number: int) -> None:
            del number
            self.counted.add((pipeline, metric.name))

        metrics.watch(note)
        try:
            yield
        finally:
            metrics.unwatch(note)

    def pipeline(self, command: Command, words: list[str]) -> None:
        """Run a pipeline; what would go on is drained, what is for Dataflow is built."""
        name, argv = words[0].removeprefix("pipelines."), words[1:]
        if "--runner=DataflowRunner" in argv:
            _build_only(name, argv)
            return
        endless = ["--max_seconds=1s", "--on_stop=drain"] if "--runner=local" in argv else []
        self._log.clear()
        with self._log.at_level("INFO", "headrace"), self._counting(name):
            assert launch.status(module_of(name), [*argv, *endless]) == 0, self._log.text
        if command.shown:
            lines = [text for text in self._log.messages if _FIGURE.search(text)]
            assert _FIGURE.findall(lines[-1]) == _FIGURE.findall(command.shown)

    def template(self, command: Command, words: list[str]) -> None:
        """Do what ``python -m templates`` says, up to what would leave this machine."""
        is_refused = command.shown.startswith("error: ")
        argv = words if is_refused else [*words, *_limits(words)]
        if words[0] == "simulate" and not self._rehearses:
            options = parser().parse_args(argv)
            argv = ["validate", options.name, *(f"--params={path}" for path in options.params)]
        said, complaints = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(complaints):
            code = templates.main(argv)
        good = (2,) if is_refused else (0, 1) if words[0] == "diff" else (0,)
        assert code in good, f"{command.text}\n{said.getvalue()}{complaints.getvalue()}"
        for line in command.shown.splitlines():
            assert line in f"{said.getvalue()}{complaints.getvalue()}"
        if command.to:
            Path(command.to).write_text(said.getvalue())

    def python(self, command: Command, words: list[str]) -> None:
        """Execute what stands behind ``python -c``."""
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            exec(words[0], {})
        if command.shown:
            assert said.getvalue() == command.shown

    def broker(self, command: Command, words: list[str]) -> None:
        """Only read the flags: the broker of the test stands in its place."""
        del command
        broker_parser().parse_args(broker_spelled(words))

    def bigquery(self, command: Command, words: list[str]) -> None:
        """Only read the flags, as for the broker."""
        del command
        bigquery_parser().parse_args(bigquery_spelled(words))

    def export(self, command: Command, words: list[str]) -> None:
        """Set variables, but those of servers: the test has others in their place."""
        del command
        for name, _, value in (word.partition("=") for word in words):
            if not name.endswith("_EMULATOR_HOST"):
                self._patch.setenv(name, value)

    def gcloud(self, command: Command, words: list[str]) -> None:
        """Parse a command of gcloud, and the file of flags that it names."""
        assert words[0] in _GCLOUD, command.text
        for word in words:
            if word.startswith("--flags-file="):
                flags = yaml.safe_load(Path(word.partition("=")[2]).read_text())
                assert all(name.startswith("--") for name in flags)

    def make(self, command: Command, words: list[str]) -> None:
        """Look whether there is such a target."""
        assert re.search(rf"^{words[0]}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


_HOW: dict[tuple[str, ...], Callable[[Doing, Command, list[str]], None]] = {
    ("python", "-m", "connectors.broker"): Doing.broker,
    ("python", "-m", "connectors.bigquery_local"): Doing.bigquery,
    ("python", "-m", "templates"): Doing.template,
    ("python", "-m"): Doing.pipeline,
    ("python", "-c"): Doing.python,
    ("export",): Doing.export,
    ("gcloud",): Doing.gcloud,
    ("make",): Doing.make,
}


def _limits(words: list[str]) -> list[str]:
    """Return what keeps a command of templates within this machine, and within a second."""
    if words[0] == "launch":
        return [] if "--dry_run" in words else ["--dry_run"]
    if words[0] == "build":
        return ["--engine=none"]
    if words[0] == "run" and templates.find(words[1]).streaming:
        return ["--max_seconds=1s", "--on_stop=drain"]
    return []


def _build_only(pipeline: str, argv: list[str]) -> None:
    """Build the graph of a job for Dataflow."""
    params, rest = parse_flags(module_of(pipeline).Params, argv, beam_parser())
    # dry_run: Beam would look for the buckets and wait two minutes without a network.
    offline = ["--staging_location=gs://my-bucket/staging", "--dry_run=True"]
    graph = beam.Pipeline(options=PipelineOptions([*rest, *offline]))
    module_of(pipeline).build(graph, params)
    graph.to_runner_api(use_fake_coders=True)
