"""Named outputs of a user's function: topics, and folders that are archives."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import apache_beam as beam

from connectors import dead_letter, pubsub, storage
from pipelines.kind import Kind
from transforms.batch import Batch
from transforms.errors import ConfigError
from transforms.metrics import ROWS_ROUTED

__all__ = ["OUTPUTS", "NamedOutput", "write_outputs"]

EVERY_S = 10.0
"""Of a folder, on a runner without end: the messages of so many seconds share a file."""

_NAME = "[A-Za-z_][A-Za-z0-9_]*"


@dataclass(frozen=True)
class NamedOutput:
    """A name that a function may give a row, and where such rows go."""

    name: str
    target: dead_letter.Folder | dead_letter.Topic

    @property
    def step(self) -> str:
        """The label of the step that writes, and its name in dead letters."""
        return f"Output {self.name}"


def _outputs(text: str) -> tuple[NamedOutput, ...]:
    found = tuple(_output(part.strip()) for part in text.split(",") if part.strip())
    names = [output.name for output in found]
    for name in names:
        if names.count(name) > 1:
            raise ConfigError(
                "output", name, "is given twice", "Give each name one topic or folder"
            )
    return found


def _output(text: str) -> NamedOutput:
    name, equals, place = text.partition("=")
    if not equals or not re.fullmatch(_NAME, name):
        raise ConfigError(
            "output", text, "must be NAME=TOPIC or NAME=FOLDER, the name of letters, digits and _",
            "Write for example late=projects/my-project/topics/late or odd=./odd",
        )  # fmt: skip
    target = dead_letter.target(place)
    if not isinstance(target, dead_letter.Folder | dead_letter.Topic):
        raise ConfigError(
            "output", text, "names a table, and must name a topic or a folder",
            f"Write {name}=./{place} if a folder is meant",
        )  # fmt: skip
    return NamedOutput(name, target)


OUTPUTS = Kind(
    "NAME=TOPIC|FOLDER[,...]", _outputs, separator=",",
    pattern=f"^({_NAME}=.+)?$",
    cloud_pattern=f"^({_NAME}=(gs://|projects/[^/ ]+/topics/).+)?$",
)  # fmt: skip


def write_outputs(
    declared: Iterable[NamedOutput], made: Mapping[str, beam.PCollection[Batch]]
) -> Iterator[beam.PCollection[Batch]]:
    """Add the steps that write what a function gave to its outputs; yield what topics refuse.

    A folder gets whole messages, as an archive of pubsub_to_storage does, so that archive_replay
    can publish them. ``rows_routed`` counts what topics and folders have taken.

    Args:
        declared: the outputs.
        made: messages by the name of their output, as of ``udf.Applied``.

    Raises:
        ConfigError: a topic does not exist, or a folder can't be written.
    """
    for output in declared:
        yield from _write(output, made[output.name])


def _write(output: NamedOutput, messages: beam.PCollection[Batch]) -> list[beam.PCollection[Batch]]:
    try:
        if isinstance(output.target, dead_letter.Topic):
            publish = pubsub.Write(output.target.name, step=output.step, published=ROWS_ROUTED)
            return [(messages | output.step >> publish).dead]
        archive = storage.Archive(output.target.path, every_s=EVERY_S, rows_written=ROWS_ROUTED)
        messages | output.step >> archive
    except ConfigError as error:
        given = f"{output.name}={output.target}"
        raise ConfigError("--udf_outputs", given, error.rule, error.fix) from error
    return []
