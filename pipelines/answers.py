"""What pipelines take that write answers: rows by window, to a lake, a topic or a table."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import apache_beam as beam
import pyarrow as pa

from connectors import bigquery, lake, pubsub, storage
from connectors.bigquery.destination import Destination
from pipelines import kinds
from pipelines.figures import Figures
from pipelines.params import Group, param
from pipelines.rules import ExactlyOneOf, OnlyWith, Rule
from transforms.aggregate import PANE_INDEX, WINDOW_END, WINDOW_START
from transforms.batch import Batch
from transforms.field import Field
from transforms.message import ATTRIBUTES, MESSAGE_SCHEMA
from transforms.metrics import (
    DEAD_LETTERS,
    DUPLICATES,
    MESSAGES_PUBLISHED,
    MESSAGES_READ,
    ROWS_WRITTEN,
)

__all__ = ["AnswerIds", "Answers"]


@dataclass(frozen=True, kw_only=True)
class Answers(Group):
    """Where answers go: exactly one of three."""

    RULES: ClassVar[tuple[Rule, ...]] = (
        ExactlyOneOf(("output", "output_topic", "output_table")),
        OnlyWith(("id_attribute",), "output_topic", "counts only for a topic"),
        OnlyWith(("partition_by",), "output", "counts only for a lake"),
    )

    output: str | None = param(
        kinds.FOLDER,
        "Folder of a lake: a Parquet file for each window.",
        example="./hourly or gs://my-bucket/hourly",
        required=False,
        group="Output",
    )
    partition_by: tuple[lake.Partition, ...] = param(
        kinds.PARTITIONS,
        "Folders within the lake, outermost first: a column, or year, month, date, hour or "
        "minute(COLUMN).",
        example="date(window_start)",
        default="",
        group="Output",
    )
    output_topic: str | None = param(
        kinds.TOPIC,
        "Topic: a JSON object for each row.",
        example="projects/my-project/topics/hourly",
        required=False,
        group="Output",
    )
    id_attribute: str | None = param(
        kinds.ATTRIBUTE,
        "Attribute of the message that gets an id of the answer, by its group, window and pane: "
        "the same if it is published twice. None by default.",
        example="answer_id",
        required=False,
        group="Output",
    )
    output_table: Destination | None = param(
        kinds.TABLE,
        "Table of BigQuery, which is made if it is missing, with a partition for each day of "
        "window_start.",
        example="my-project.flights.hourly",
        required=False,
        group="Output",
    )

    def figures(self) -> Figures:
        """Return what accounts for messages: answers on a topic are published, others written."""
        sink = ROWS_WRITTEN if self.output_topic is None else MESSAGES_PUBLISHED
        return (MESSAGES_READ, sink, DUPLICATES, DEAD_LETTERS)

    def write(
        self, rows: beam.PCollection[Batch], schema: pa.Schema, by: Sequence[Field]
    ) -> list[beam.PCollection[Batch]]:
        """Add the step that writes rows of a schema; return what it rejects.

        Args:
            rows: answers.
            schema: of the rows.
            by: what tells their groups apart.
        """
        if self.output is not None:
            rows | "Write" >> lake.Write(self.output, partition_by=self.partition_by)
            return []
        if self.output_topic is not None:
            names = tuple(field.name for field in by)
            ids = None if self.id_attribute is None else AnswerIds(self.id_attribute, names)
            publish = pubsub.Write(
                self.output_topic, data=storage.as_json, attributes=ids, ordering_key=None
            )
            return [(rows | "Write" >> publish).dead]
        table = "" if self.output_table is None else self.output_table.text
        create = bigquery.Create(partition_by=f"day({WINDOW_START})")
        append = bigquery.Write(
            table, create=create, rows=schema, terms=bigquery.Terms("--output_table")
        )
        return [(rows | "Write" >> append).dead]


@dataclass(frozen=True)
class AnswerIds:
    """Attributes with an id of the answer, which depends on its group, window and pane alone.

    Args:
        name: key of the attribute.
        by: the columns that tell groups apart.
    """

    name: str
    by: tuple[str, ...]

    def __call__(self, answers: Batch) -> pa.Array:
        """Return the attributes of each row."""
        place = answers.select([*self.by, WINDOW_START, WINDOW_END, PANE_INDEX])
        ids = (
            hashlib.blake2b(text, digest_size=16).hexdigest()
            for text in storage.as_json(place).cast(pa.binary()).to_pylist()
        )
        kind = MESSAGE_SCHEMA.field(ATTRIBUTES).type
        return pa.array([[(self.name, each)] for each in ids], kind)
