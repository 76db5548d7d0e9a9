"""The group of parameters of user functions: where the step is, and what is behind it."""

from __future__ import annotations

from dataclasses import dataclass

import apache_beam as beam
import pyarrow as pa
import pytest

from connectors.udf import Form, Source
from pipelines.params import validated
from pipelines.rows import Deduplication, EventTime, OptionalPayload
from pipelines.topic_output import TopicOutput
from pipelines.user_function import UserFunctions, columns_as_json
from tests.commands import PIPELINES, module_of
from tests.conftest import message_batch
from transforms.errors import ConfigError
from transforms.field import Field, column
from transforms.message import MESSAGE, PART, attach_message

TIME = pa.timestamp("us", tz="UTC")
SCHEMA = pa.schema([("id", pa.string()), ("at", TIME)])
MADE = pa.schema([("id", pa.string()), ("at", pa.string()), ("made", TIME)])
ROW = Source("f.py", "f", "def f(row):\n    return row\n", Form.ROW)
BATCH = Source("f.py", "f", "def f(rows):\n    return rows\n", Form.BATCH)
TEXT = Source("f.py", "f", "def f(text: str):\n    return text\n", Form.TEXT)


@dataclass(frozen=True, kw_only=True)
class Rows(OptionalPayload, UserFunctions, EventTime, Deduplication):
    """A pipeline of rows or messages."""


@dataclass(frozen=True, kw_only=True)
class Bus(OptionalPayload, UserFunctions, TopicOutput):
    """A pipeline that publishes."""


def labels(params: UserFunctions) -> list[str]:
    """Return the steps from messages to rows."""
    pipeline = beam.Pipeline()
    rows = params.rows(pipeline | beam.Create([message_batch([b"{}"])]))
    assert set(rows.outputs) == {output.name for output in params.udf_outputs}
    return [
        step.full_label
        for step in pipeline.transforms_stack[0].parts
        if step.full_label != "Create"
    ]


@pytest.mark.parametrize(
    ("params", "steps"),
    [
        (Rows(), []),
        (Rows(schema=SCHEMA), ["Parse"]),
        (Rows(schema=SCHEMA, udf=ROW), ["Parse", "UserFunction"]),
        (Rows(schema=SCHEMA, udf=BATCH), ["Parse", "UserFunction"]),
        (Rows(schema=SCHEMA, udf=TEXT), ["UserFunction", "Parse"]),
        (Rows(udf=ROW, udf_schema=MADE), ["UserFunction"]),
        (Rows(udf=TEXT), ["UserFunction"]),
    ],
)
def test_payloads_are_seen_before_they_are_parsed(params: Rows, steps: list[str]) -> None:
    """And rows after; without a function there is no step of it."""
    assert labels(params) == steps


@pytest.mark.parametrize("pipeline", [each for each in PIPELINES if each != "lake_compact"])
def test_every_pipeline_with_messages_takes_one(pipeline: str) -> None:
    """Compaction moves files: it has none."""
    assert issubclass(module_of(pipeline).Params, UserFunctions)
    assert not issubclass(module_of("lake_compact").Params, UserFunctions)


@pytest.mark.parametrize(
    ("params", "columns", "flag"),
    [
        (Rows(schema=SCHEMA), SCHEMA, "--schema"),
        (Rows(schema=SCHEMA, udf=TEXT), SCHEMA, "--schema"),
        (Rows(schema=SCHEMA, udf=ROW), SCHEMA, "--schema"),
        (Rows(schema=SCHEMA, udf=BATCH, udf_schema=MADE), MADE, "--udf_schema"),
        (Rows(udf=ROW, udf_schema=MADE), MADE, "--udf_schema"),
        (Rows(udf=ROW), None, "--schema"),
    ],
)
def test_columns_are_those_behind_the_function(
    params: Rows, columns: pa.Schema | None, flag: str
) -> None:
    """Flags that name columns mean these."""
    assert params.columns == (columns, flag)


@pytest.mark.parametrize(
    ("params", "field", "is_sampled"),
    [
        (Rows(schema=SCHEMA), "at", False),
        (Rows(schema=SCHEMA, udf=ROW), "at", False),
        (Rows(schema=SCHEMA, udf=ROW, udf_schema=MADE), "made", True),
        (Rows(schema=SCHEMA, udf=ROW, udf_schema=MADE), "at", True),  # of another type
        (Rows(schema=SCHEMA, udf=TEXT), "at", True),
        (Rows(schema=SCHEMA, udf=ROW), "attribute:at", False),
        (Rows(schema=SCHEMA, udf=TEXT), "attribute:at", False),
        (Rows(udf=ROW), "attribute:at", True),
        (Rows(udf=ROW), "message:publish_time", False),
    ],
)
def test_reader_looks_behind_the_function_only_if_it_must(
    params: Rows, field: str, is_sampled: bool
) -> None:
    """For a time that is not in the message as it comes."""
    assert (params.sampled(Field.parse(field)) is not None) == is_sampled


def test_rows_of_a_message_are_told_apart_where_repeated_ones_are_dropped() -> None:
    """By a column that only then is there."""
    assert Rows(dedup_by=(column("id"),), schema=SCHEMA, udf=ROW).keys == {
        "_key_0": column("id"), "_key_1": column(PART),
    }  # fmt: skip
    assert Bus(output_topic="projects/p/topics/out", udf=ROW).parts == ()
    assert Rows().parts == ()


def test_payload_is_json_only_of_rows_that_the_function_made() -> None:
    """Else it is what the message holds."""
    topic = "projects/p/topics/out"
    for params in (Bus(output_topic=topic), Bus(output_topic=topic, schema=SCHEMA, udf=TEXT)):
        assert params.payload == Field.parse("message:data")
    assert Bus(output_topic=topic, udf=ROW).payload == Field.parse("message:data")
    assert Bus(output_topic=topic, schema=SCHEMA, udf=ROW).payload is columns_as_json
    rows = attach_message(pa.record_batch({"n": [1]}), message_batch([b"x"]))
    assert columns_as_json(rows.with_column(PART, pa.array([0]))).to_pylist() == ['{"n":1}']
    assert MESSAGE in rows.schema.names


def test_reserved_column_is_refused_beside_a_function_alone() -> None:
    """Who has such a column already, and no function, is not asked to rename it."""
    numbered = SCHEMA.append(pa.field(PART, pa.int64()))
    assert Rows(schema=numbered).columns.schema == numbered
    with pytest.raises(ConfigError, match="--schema: has a column _part"):
        Rows(schema=numbered, udf=ROW)


def test_schema_of_rows_is_none_of_payloads() -> None:
    """What a function of text gives is parsed by --schema."""
    with pytest.raises(
        ConfigError, match=r"--udf_schema: counts for functions of rows, and f\.py:f"
    ):
        Rows(schema=SCHEMA, udf=TEXT, udf_schema=MADE)


def test_flags_of_functions_need_one() -> None:
    """The rule is told to those who can't call our code, too."""
    for flag, text in {"udf_timeout": "1s", "udf_reload": "1m", "udf_outputs": "a=./a"}.items():
        with pytest.raises(ConfigError, match=f"--{flag}=.*counts only for a function"):
            validated(Rows, {flag: text})
