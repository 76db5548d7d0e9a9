"""What pipelines take that can call a user's function: where it is, what it gives, its limits."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, NamedTuple

import apache_beam as beam
import pyarrow as pa

from connectors import dead_letter, storage
from connectors.pubsub.write import Values
from connectors.udf import Form, Plan, Sampled, Source, UserFunction, load
from pipelines import checks, kinds
from pipelines.changes import COLUMNS
from pipelines.circle import refuse_circle
from pipelines.columns import Columns
from pipelines.kind import Kind
from pipelines.named_outputs import OUTPUTS, NamedOutput, write_outputs
from pipelines.params import Group, param, specs
from pipelines.rules import OnlyWith, Rule
from pipelines.topic_output import TopicOutput
from transforms.batch import Batch
from transforms.errors import ConfigError
from transforms.field import Field
from transforms.field import Source as FieldSource
from transforms.field import message as message_field
from transforms.message import DATA, MESSAGE, PART
from transforms.parse import Parse

__all__ = ["Rows", "UserFunctions"]

STEP = "UserFunction"
"""The label of the step, and its name in dead letters."""

_FUNCTION = "[A-Za-z_$][A-Za-z0-9_$.]*"
FILE_FUNCTION = Kind(
    "FILE:FUNCTION", load,
    pattern=f"^.+:{_FUNCTION}$", cloud_pattern=f"^gs://[^/ ]+/.+:{_FUNCTION}$", reads_file=True,
)  # fmt: skip


class Rows(NamedTuple):
    """What becomes of messages before anything else is done: every row is in one of the three."""

    ok: beam.PCollection[Batch]
    """Typed rows with their messages, or messages where there is no schema."""
    dead: list[beam.PCollection[Batch]]
    """Failures of the parser and of the function."""
    outputs: dict[str, beam.PCollection[Batch]]
    """Messages that the function gave to its named outputs."""


@dataclass(frozen=True, kw_only=True)
class UserFunctions(Group):
    """A function between the source and all other steps.

    One that takes text sees payloads before they are parsed; any other one sees what was parsed,
    or messages where the pipeline has no ``schema``.
    """

    FILTERS: ClassVar[tuple[str, ...]] = ("udf",)
    RULES: ClassVar[tuple[Rule, ...]] = (
        OnlyWith(
            ("udf_schema", "udf_timeout", "udf_reload", "udf_outputs"), "udf",
            "counts only for a function",
        ),
    )  # fmt: skip

    udf: Source | None = param(
        FILE_FUNCTION,
        "Function that each row, batch or payload goes through: FILE.py:FUNCTION, or "
        "FILE.js:FUNCTION for JavaScript. See docs/pipelines/user_functions.md.",
        example="examples/udf/flights.py:clean or gs://my-bucket/flights.py:clean",
        required=False,
        group="User function",
    )
    udf_schema: pa.Schema | None = param(
        kinds.SCHEMA_FILE,
        "JSON file with the columns of the rows that the function gives, in BigQuery's schema "
        "form; by default they are those that it gets.",
        example="examples/udf/clean.json or gs://my-bucket/clean.json",
        required=False,
        group="User function",
        change=COLUMNS,
    )
    udf_timeout: float = param(
        kinds.DURATION,
        "How long a call of the function may take; what it was called with is a dead letter then.",
        default="10s",
        group="User function",
    )
    udf_reload: float | None = param(
        kinds.DURATION,
        "How often the file is looked at, to go on with what it has become. By default never.",
        example="1m",
        required=False,
        group="User function",
    )
    udf_outputs: tuple[NamedOutput, ...] = param(
        OUTPUTS,
        "Outputs that the function may name, each a topic, or a folder that becomes an archive.",
        example="late=projects/my-project/topics/late,odd=gs://my-bucket/odd",
        default="",
        group="User function",
    )

    def check(self) -> None:
        """Refuse columns that nobody would see, and outputs that are read or written already."""
        if self.udf is None:
            return
        if self.udf_schema is not None and not self._sees_rows:
            raise ConfigError(
                "--udf_schema", None,
                f"counts for functions of rows, and {self.udf} takes text, which --schema parses",
                "Leave it out, or annotate the function's first parameter with dict",
            )  # fmt: skip
        self._refuse_part()
        self._require_outputs_apart()

    @property
    def columns(self) -> Columns:
        """The columns of rows behind the function."""
        if self._sees_rows and self.udf_schema is not None:
            return Columns(self.udf_schema, "--udf_schema")
        return Columns(self._parsed)

    @property
    def parts(self) -> tuple[str, ...]:
        """The column that tells rows of one message apart, where repeated ones are dropped."""
        return (PART,) if self.udf is not None and hasattr(self, "dedup_by") else ()

    @property
    def payload(self) -> Values:
        """What is published of a row: the message's data, or as JSON what the function made."""
        made = self._sees_rows and self.columns.schema is not None
        return columns_as_json if made else message_field(DATA)

    def rows(self, messages: beam.PCollection[Batch]) -> Rows:
        """Add the steps from messages to rows: the parser and the function, as far as asked for."""
        steps: list[tuple[str, Any]] = []
        if self._parsed is not None:
            steps.append(("Parse", Parse(self._parsed)))
        if self.udf is not None:
            steps.insert(len(steps) if self._sees_rows else 0, (STEP, self._function(self.udf)))
        made = Rows(messages, [], {})
        for label, step in steps:
            found = made.ok | label >> step
            outputs = getattr(found, "outputs", {})
            made = Rows(found.ok, [*made.dead, found.dead], made.outputs | outputs)
        return made

    def route(self, rows: Rows) -> list[beam.PCollection[Batch]]:
        """Add the steps that write the named outputs; return what their topics refuse.

        They come after those of the pipeline's own output, whose folder keeps the record of a run.

        Raises:
            ConfigError: a topic does not exist or is the one that is read.
        """
        for topic in self._topics():
            subscription = getattr(self, "subscription", None)
            refuse_circle(rows.ok.pipeline, "--udf_outputs", topic, subscription)
        return list(write_outputs(self.udf_outputs, rows.outputs))

    def sampled(self, field: Field) -> Callable[[], Sampled] | None:
        """Return what opens a view of messages behind the function, if a field is seen only there.

        It is for a reader whose watermark follows the field; None if messages as they come do.
        """
        if self.udf is None or self._comes(field):
            return None
        typed = self._sees_rows and self._parsed is not None
        plan = Plan(STEP, typed, self.udf_schema, self._names, self._parsed is not None)
        return partial(Sampled, self.udf, plan, self._parsed, self.udf_timeout)

    def _comes(self, field: Field) -> bool:
        """Tell whether a field can be seen in messages as they come, before the function."""
        if field.source is FieldSource.MESSAGE:
            return True
        before, after = self._parsed, self.columns.schema
        if field.source is FieldSource.ATTRIBUTE:  # only messages may get others
            return not self._sees_rows or before is not None
        if not self._sees_rows or before is None or after is None:
            return False
        same = field.name in before.names and field.name in after.names
        return same and before.field(field.name).type == after.field(field.name).type

    @property
    def _parsed(self) -> pa.Schema | None:
        schema: pa.Schema | None = getattr(self, "schema", None)
        return schema

    @property
    def _sees_rows(self) -> bool:
        return self.udf is not None and self.udf.form is not Form.TEXT

    def _function(self, source: Source) -> UserFunction:
        # What goes on as a message goes on as the function made it. Rows keep the message as it
        # came, so that the replay of a dead letter goes through the function once.
        return UserFunction(
            source,
            schema=self._parsed if self._sees_rows else None,
            output_schema=self.udf_schema,
            outputs=self._names,
            timeout_s=self.udf_timeout,
            reload_s=self.udf_reload,
            part_column=bool(self.parts),
            keep_message=self._parsed is not None and not isinstance(self, TopicOutput),
            step=STEP,
        )

    def _refuse_part(self) -> None:
        for flag, schema in (("--schema", self._parsed), ("--udf_schema", self.udf_schema)):
            if schema is not None and PART in schema.names:
                raise ConfigError(
                    flag, None,
                    f"has a column {PART}, which beside --udf numbers the rows of a message",
                    "Rename the column",
                )  # fmt: skip

    @property
    def _names(self) -> tuple[str, ...]:
        return tuple(output.name for output in self.udf_outputs)

    def _topics(self) -> Iterator[str]:
        for output in self.udf_outputs:
            if isinstance(output.target, dead_letter.Topic):
                yield output.target.name

    def _require_outputs_apart(self) -> None:
        read: str | None = getattr(self, "topic", None)
        if read is not None and read in list(self._topics()):
            raise ConfigError(
                "--udf_outputs", read, "is the --topic that is read: nothing would ever end",
                "Choose another topic",
            )  # fmt: skip
        taken = list(self._folders())
        for output in self.udf_outputs:
            if isinstance(output.target, dead_letter.Folder):
                for flag, folder in taken:
                    checks.require_apart("--udf_outputs", output.target.path, flag, folder)
                taken.append((f"--udf_outputs={output.name}", output.target.path))

    def _folders(self) -> Iterator[tuple[str, str]]:
        """Yield the folders that the pipeline reads or writes, with their flags."""
        for spec in specs(type(self)):
            value = getattr(self, spec.name)
            if isinstance(value, dead_letter.Folder):
                yield spec.flag, value.path
            elif spec.kind in (kinds.FOLDER, kinds.INPUT_FOLDER) and value is not None:
                yield spec.flag, value


def columns_as_json(rows: Batch) -> pa.Array:
    """Return the columns of each row as a JSON object, without those that are reserved."""
    return storage.as_json(rows.drop([MESSAGE, PART]))
