"""``run``: a template as a job on this machine, with the embedded broker if asked."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipelines.interrupt import interruptible
from pipelines.launch import beam_parser, reported, status
from pipelines.messages_file import publish_lines
from pipelines.params import ConfigError, parse_flags
from templates.catalogue import Template
from templates.files.render import flags
from templates.home.embedded import ADDRESS, broker

__all__ = ["Run", "sample_beside"]

_SAMPLE = ".messages.jsonl"


@dataclass(frozen=True)
class Run:
    """How a job is run.

    Attributes:
        folder: of the job: the state of the local runner, and the data of the embedded broker.
        runner: ``local`` goes on until it is stopped, ``direct`` takes what there is and ends.
        embedded: whether a broker is started for it.
        port: of that broker; 0 takes any free one.
        messages: file whose lines are published to that broker before the job starts.
        sample: the same, if its folder is new.
        options: further flags, of the runner and others; they count above the files.
    """

    folder: Path
    runner: str = "local"
    embedded: bool = False
    port: int = 0
    messages: Path | None = None
    sample: Path | None = None
    options: tuple[str, ...] = ()

    def start(self, template: Template, texts: Mapping[str, str]) -> int:
        """Run the job to its end; return the exit code, as of ``pipelines.launch``."""
        return reported(lambda: self._start(template, texts))

    def _start(self, template: Template, texts: Mapping[str, str]) -> int:
        self._check(texts)
        argv = [*flags(texts), *self._flags()]
        # Flags count above the files: they too are judged before anything is published.
        parse_flags(template.params, argv, beam_parser())
        with interruptible(), self._broker(texts):
            return status(template.module, argv)

    def _check(self, texts: Mapping[str, str]) -> None:
        if self.messages is None:
            return
        if not self.embedded:
            raise ConfigError(
                "--messages", str(self.messages), "are for the embedded broker",
                "Give --broker=embedded, or leave it out",
            )  # fmt: skip
        if "subscription" not in texts:
            raise ConfigError(
                "--messages", str(self.messages),
                "are for the parameter subscription, and there is none",
                "Give a subscription: it keeps what was published before the start",
            )  # fmt: skip

    def _flags(self) -> list[str]:
        if self.runner == "direct":
            return list(self.options)
        return ["--runner=local", f"--state_dir={self.folder / 'state'}", *self.options]

    @contextlib.contextmanager
    def _broker(self, texts: Mapping[str, str]) -> Iterator[None]:
        if not self.embedded:
            yield
            return
        folder = self.folder / "broker"
        is_new = not folder.exists()
        with broker(folder, texts, self.port) as address:
            print(f"embedded broker: export {ADDRESS}={address}", flush=True)
            for path in self._published(texts, is_new):
                topic = texts["subscription"].replace("/subscriptions/", "/topics/")
                count = publish_lines(path, topic)
                print(f"published to {topic}: {count:,} messages of {path}", flush=True)
            yield

    def _published(self, texts: Mapping[str, str], is_new: bool) -> list[Path]:
        sample = self.sample if is_new and "subscription" in texts else None
        return [path for path in (self.messages, sample) if path is not None]


def sample_beside(paths: Sequence[Path]) -> Path | None:
    """Return the messages that lie beside a parameter file: ``flights.messages.jsonl``."""
    beside = (path.with_name(path.stem + _SAMPLE) for path in reversed(paths))
    return next((path for path in beside if path.is_file()), None)
