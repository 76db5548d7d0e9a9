"""Payloads to typed rows: what is accepted, what is refused and why, and that rows stay aligned."""

from __future__ import annotations

import pickle
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from transforms import kinds
from transforms.batch import Batch
from transforms.errors import ConfigError
from transforms.failure import FAILURE_SCHEMA
from transforms.message import MESSAGE, MESSAGE_SCHEMA, message_column
from transforms.parse import Decoder, Parse

EVENTS = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("count", pa.int64()),
        pa.field("time", pa.timestamp("us", tz="UTC")),
    ]
)
GOOD = b'{"id": "good", "count": 1, "time": "2024-01-31T10:00:00Z"}'


def messages(*payloads: bytes | None) -> Batch:
    """Return a batch of messages whose ids are their positions."""
    return Batch.from_pylist(
        [
            {"data": data, "message_id": str(index), "attributes": [("row", str(index))]}
            for index, data in enumerate(payloads)
        ],
        MESSAGE_SCHEMA,
    )


def ids(batch: Batch | None) -> list[str]:
    """Return the ids of the messages of a batch."""
    return [] if batch is None else message_column(batch, "message_id").to_pylist()


def rejection(payload: bytes | None, schema: pa.Schema = EVENTS) -> tuple[str, str]:
    """Return why a payload is rejected, while its neighbours are not."""
    good = b'{"id": "good"}'
    ok, dead = Decoder(schema).decode(messages(good, payload, good))
    assert ids(ok) == ["0", "2"]
    assert ids(dead) == ["1"]
    assert dead is not None
    (row,) = dead.to_pylist()
    assert row["data"] == payload
    assert row["attributes"] == [("row", "1")]
    return row["error_kind"], row["error"]


def test_good_payloads_become_typed_rows_with_their_messages() -> None:
    """A row has the columns of the schema, and its message under the reserved column."""
    batch = messages(GOOD, b'{"id": "b"}')
    ok, dead = Decoder(EVENTS).decode(batch)
    assert dead is None
    assert ok.schema.names == ["id", "count", "time", MESSAGE]
    assert ok.drop([MESSAGE]).schema.equals(EVENTS, check_metadata=True)
    assert ok.column("count").to_pylist() == [1, None]
    assert message_column(ok, "data").to_pylist() == batch.column("data").to_pylist()
    ok.rows.validate(full=True)


@pytest.mark.parametrize(
    ("payload", "kind", "reason"),
    [
        (b"garbage", kinds.MALFORMED_JSON, "invalid character"),
        (b'{"id": "a", "coun', kinds.MALFORMED_JSON, "truncated"),
        (b"", kinds.MALFORMED_JSON, "empty"),
        (None, kinds.MALFORMED_JSON, "empty"),
        (b" \t\r\n ", kinds.MALFORMED_JSON, "empty"),
        (b"null", kinds.WRONG_TYPE, "Expected `object`, got `null`"),
        (b'[{"id": "a"}]', kinds.WRONG_TYPE, "Expected `object`, got `array`"),
        (b"1", kinds.WRONG_TYPE, "got `int`"),
        (b'"a"', kinds.WRONG_TYPE, "got `str`"),
        (b'{"id": "a"} x', kinds.MALFORMED_JSON, "trailing characters"),
        (b'{"id": "a"}{"id": "b"}', kinds.MALFORMED_JSON, "trailing characters"),
        (b'{"id": "a"}\n{"id": "b"}', kinds.MALFORMED_JSON, "trailing characters"),
        (b'{"id": "a",}', kinds.MALFORMED_JSON, "trailing comma"),
        (b'\xef\xbb\xbf{"id": "a"}', kinds.MALFORMED_JSON, "invalid character"),
        (b'{"id": "\xff"}', kinds.INVALID_UTF8, "UTF-8"),
        (b'{"id": "a", "unknown": "\xff"}', kinds.INVALID_UTF8, "UTF-8"),
        (b'{"id": "a", "\xff": 1}', kinds.INVALID_UTF8, "UTF-8"),
        (b'{"id": "\xed\xa0\x80"}', kinds.INVALID_UTF8, "UTF-8"),
        (b'{"id": "\x00"}', kinds.MALFORMED_JSON, "invalid character"),
        (b'{"id": "a\nb"}', kinds.MALFORMED_JSON, "invalid character"),
        (b'{"id": "\\ud800"}', kinds.MALFORMED_JSON, ""),
        (b'{"id": "\\udc00 "}', kinds.MALFORMED_JSON, "surrogate"),
        (b'{"id": "a", "unknown": "\\ud800"}', kinds.MALFORMED_JSON, ""),
        (b'{"id": "a", "count": NaN}', kinds.MALFORMED_JSON, "invalid character"),
        (b'{"id": "a", "count": Infinity}', kinds.MALFORMED_JSON, "invalid character"),
        (b'{"id": "a", "count": 01}', kinds.MALFORMED_JSON, "invalid number"),
        (
            b'{"id": "a", "count": "12"}',
            kinds.WRONG_TYPE,
            "Expected `int | null`, got `str` - at `$.count`",
        ),
        (b'{"id": "a", "count": 9.5}', kinds.WRONG_TYPE, "got `float` - at `$.count`"),
        (b'{"id": "a", "count": 3.0}', kinds.WRONG_TYPE, "got `float` - at `$.count`"),
        (b'{"id": "a", "count": 1e3}', kinds.WRONG_TYPE, "got `float` - at `$.count`"),
        (b'{"id": "a", "count": true}', kinds.WRONG_TYPE, "got `bool` - at `$.count`"),
        (b'{"id": 5}', kinds.WRONG_TYPE, "Expected `str`, got `int` - at `$.id`"),
        (b'{"id": "a", "count": 9223372036854775808}', kinds.OUT_OF_RANGE, "`$.count`"),
        (b'{"id": "a", "count": -9223372036854775809}', kinds.OUT_OF_RANGE, "`$.count`"),
        (b'{"id": "a", "count": %s}' % (b"9" * 5_000), kinds.OUT_OF_RANGE, "`$.count`"),
        (b"{}", kinds.MISSING_FIELD, "missing required field `id`"),
        (b'{"ID": "a"}', kinds.MISSING_FIELD, "missing required field `id`"),
        (b'{"id": null}', kinds.MISSING_FIELD, "Expected `str`, got `null` - at `$.id`"),
        (
            b'{"id": "a", "time": "yesterday"}',
            kinds.INVALID_VALUE,
            "'yesterday' is no timestamp like",
        ),
        (b'{"id": "a", "time": ""}', kinds.INVALID_VALUE, "at `$.time`"),
        (b'{"id": "a", "time": 1706695200}', kinds.WRONG_TYPE, "got `int` - at `$.time`"),
        (b'{"id": "a", "id": 1}', kinds.WRONG_TYPE, "at `$.id`"),
        (b'{"id": 1, "id": "a"}', kinds.WRONG_TYPE, "at `$.id`"),
        (b'{"id": "a", "time": {"$date": 1}}', kinds.WRONG_TYPE, "got `object` - at `$.time`"),
    ],
)
def test_bad_payload_is_rejected_with_its_reason(
    payload: bytes | None, kind: str, reason: str
) -> None:
    """A bad payload alone goes to dead, whole, with the kind, the field and the rule."""
    actual_kind, actual_reason = rejection(payload)
    assert actual_kind == kind
    assert reason in actual_reason


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
@pytest.mark.parametrize("field", [b"unknown", b"count"])
def test_deep_nesting_is_rejected_and_does_not_crash(opening: bytes, field: bytes) -> None:
    """A hundred thousand levels are a dead letter, wherever they stand, and not a dead process."""
    kind, _ = rejection(b'{"id": "a", "%s": %s' % (field, opening * 100_000))
    assert kind in {kinds.TOO_DEEP, kinds.WRONG_TYPE}


def test_payload_of_the_greatest_size_is_parsed() -> None:
    """A payload of 10 MB is a row like any other."""
    text = "x" * 9_999_000
    ok, dead = Decoder(EVENTS).decode(messages(b'{"id": "%s"}' % text.encode(), GOOD))
    assert dead is None
    assert ok.column("id").to_pylist() == [text, "good"]


@pytest.mark.parametrize(
    ("payload", "row"),
    [
        (b'{\n  "id": "a",\n  "count": 2\n}\n', {"id": "a", "count": 2}),
        (b'{"id": "a", "id": "b"}', {"id": "b"}),
        (b'{"id": "a", "unknown": {"b": [1e999, "c"]}}', {"id": "a"}),
        (b'{"id": "a", "count": null, "time": null}', {"id": "a"}),
        (b'{"id": "\\u0000\\ud83d\\ude00\\n"}', {"id": "\x00\U0001f600\n"}),
        (b'{"id": "", "count": -0}', {"id": "", "count": 0}),
        (b'{"id": "a", "count": -9223372036854775808}', {"id": "a", "count": -(2**63)}),
        (b'{"id": "a", "count": 9223372036854775807}', {"id": "a", "count": 2**63 - 1}),
    ],
)
def test_unusual_payload_is_accepted(payload: bytes, row: dict[str, Any]) -> None:
    """Layout, repeated keys, unknown fields, nulls and escapes are what JSON says they are."""
    ok, dead = Decoder(EVENTS).decode(messages(payload))
    assert dead is None
    assert ok.drop([MESSAGE]).to_pylist() == [{"count": None, "time": None} | row]


def test_document_split_over_two_messages_is_two_failures() -> None:
    """Payloads are never joined: two halves of one document do not make a row."""
    ok, dead = Decoder(EVENTS).decode(messages(b'{"id": "a",', b'"count": 1}', GOOD))
    assert ids(ok) == ["2"]
    assert ids(dead) == ["0", "1"]


def test_every_mixture_of_stages_keeps_rows_aligned() -> None:
    """Rows rejected by decoding, by encoding and by a column leave the others in place."""
    bad = [b"x", b'{"id": "\xff"}', b'{"id": "a", "time": "x"}', b'{"id": "\xff", "time": "x"}']
    payloads = [b'{"id": "%d"}' % index for index in range(1_000)]
    for index in range(0, 1_000, 7):
        payloads[index] = bad[index % 4]
    ok, dead = Decoder(EVENTS).decode(messages(*payloads))
    assert ok.column("id").to_pylist() == ids(ok) == [str(i) for i in range(1_000) if i % 7]
    assert ids(dead) == [str(i) for i in range(0, 1_000, 7)]


@pytest.mark.parametrize("count", [0, 1, 3])
def test_batch_of_failures_alone_leaves_an_empty_batch(count: int) -> None:
    """The typed batch has its schema, also without rows."""
    ok, dead = Decoder(EVENTS).decode(messages(*[b"x"] * count))
    assert (len(ok), len(dead or ())) == (0, count)
    assert ok.schema.names == ["id", "count", "time", MESSAGE]
    assert dead is None or dead.schema == FAILURE_SCHEMA


def test_a_slice_is_parsed_as_its_own_rows() -> None:
    """The offset of a sliced batch is honoured in rows, messages and failures."""
    payloads = [b'{"id": "%d"}' % index if index % 3 else b"x" for index in range(20)]
    ok, dead = Decoder(EVENTS).decode(messages(*payloads).slice(5, 10))
    assert ok.column("id").to_pylist() == ids(ok) == ["5", "7", "8", "10", "11", "13", "14"]
    assert ids(dead) == ["6", "9", "12"]


def test_dead_letters_carry_the_name_of_the_step() -> None:
    """Whoever reads a dead letter learns which step rejected it."""
    _, dead = Decoder(EVENTS, step="parse flights").decode(messages(b""))
    assert dead is not None
    assert dead.column("step").to_pylist() == ["parse flights"]


NESTED = pa.schema(
    [
        pa.field("id", pa.string()),
        pa.field(
            "place",
            pa.struct(
                [
                    pa.field("lon", pa.float64(), nullable=False),
                    pa.field("name", pa.string(), nullable=False),
                    pa.field("since", pa.date32()),
                    pa.field(
                        "tags",
                        pa.list_(pa.field("item", pa.string(), nullable=False)),
                        nullable=False,
                    ),
                ]
            ),
        ),
        pa.field(
            "visits",
            pa.list_(
                pa.field(
                    "item",
                    pa.struct(
                        [
                            pa.field("at", pa.timestamp("us", tz="UTC"), nullable=False),
                            pa.field("price", pa.decimal128(10, 2)),
                        ]
                    ),
                    nullable=False,
                )
            ),
        ),
    ]
)


def test_nested_structs_and_lists() -> None:
    """Structs in lists and lists in structs are built, absent ones are null or empty."""
    ok, dead = Decoder(NESTED).decode(
        messages(
            b'{"visits": [{"at": "2024-01-01T00:00:00Z"}, {"at": "2024-01-02", "price": 1.5}]}',
            b'{"place": {"lon": 1, "name": "a", "tags": ["x", "y"]}, "visits": []}',
            b'{"place": {"lon": 2.5, "name": "b", "since": "2024-02-29", "tags": null}}',
        )
    )
    assert dead is None
    ok.rows.validate(full=True)
    rows = ok.drop([MESSAGE])
    assert [row["place"] and row["place"]["tags"] for row in rows.to_pylist()] == [
        None,
        ["x", "y"],
        [],
    ]
    assert pc.list_value_length(rows.column("visits")).to_pylist() == [2, 0, None]
    file = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_batches([rows.rows]), file)
    assert pq.read_table(pa.BufferReader(file.getvalue())).to_pylist() == rows.to_pylist()


@pytest.mark.parametrize(
    ("payload", "kind", "path"),
    [
        (
            b'{"visits": [{"at": "2024-01-01"}, {"at": "2024-02-30"}]}',
            kinds.INVALID_VALUE,
            "$.visits[1].at",
        ),
        (
            b'{"visits": [{"at": "2024-01-01", "price": 1.555}]}',
            kinds.OUT_OF_RANGE,
            "$.visits[0].price",
        ),
        (b'{"visits": [{"at": "2024-01-01", "price": []}]}', kinds.WRONG_TYPE, "$.visits[0].price"),
        (b'{"visits": [{"price": 1}]}', kinds.MISSING_FIELD, "$.visits[0]"),
        (b'{"visits": [null]}', kinds.MISSING_FIELD, "$.visits[0]"),
        (b'{"visits": {}}', kinds.WRONG_TYPE, "$.visits"),
        (
            b'{"place": {"lon": 1, "name": "a", "since": "2024-13-01"}}',
            kinds.INVALID_VALUE,
            "$.place.since",
        ),
        (
            b'{"place": {"lon": 1, "name": "a", "tags": [null]}}',
            kinds.MISSING_FIELD,
            "$.place.tags[0]",
        ),
        (b'{"place": {"lon": 1e999, "name": "a"}}', kinds.OUT_OF_RANGE, "$.place.lon"),
    ],
)
def test_failure_inside_of_nested_fields_names_the_path(
    payload: bytes, kind: str, path: str
) -> None:
    """The reason names the element of the list and the field of the struct."""
    actual_kind, reason = rejection(payload, NESTED)
    assert (actual_kind, reason.endswith(f"at `{path}`")) == (kind, True)


def test_first_fault_of_a_row_is_the_one_reported() -> None:
    """A row that fails twice is one dead letter, with the fault of the first column."""
    schema = pa.schema([("a", pa.date32()), ("b", pa.date32())])
    ok, dead = Decoder(schema).decode(messages(b'{"a": "x", "b": "y"}'))
    assert len(ok) == 0
    assert dead is not None
    assert dead.column("error").to_pylist() == ["'x' is no date like 2024-01-31 - at `$.a`"]


def test_long_values_are_cut_in_reasons() -> None:
    """A reason fits a log line, however long the value."""
    _, reason = rejection(b'{"id": "a", "time": "%s"}' % (b"z" * 100_000))
    assert len(reason) < 250


@pytest.mark.parametrize(
    "schema",
    [
        pa.schema([(MESSAGE, pa.string())]),
        pa.schema([]),
        pa.schema([("a", pa.int64()), ("a", pa.string())]),
        pa.schema([("a", pa.uint64())]),
        pa.schema([("a", pa.timestamp("us", tz="Europe/Paris"))]),
        pa.schema([("a", pa.decimal128(5, -2))]),
        pa.schema([("a", pa.list_(pa.struct([("b", pa.duration("s"))])))]),
        pa.schema([("a", pa.struct([]))]),
    ],
)
def test_schema_that_json_cannot_fill_is_refused(schema: pa.Schema) -> None:
    """A schema is refused when the pipeline is built, not when the first message comes."""
    with pytest.raises(ConfigError, match=r"^schema"):
        Parse(schema)


def test_error_about_a_schema_names_the_nested_field() -> None:
    """The place of an unsupported type is its path."""
    schema = pa.schema([("a", pa.list_(pa.struct([("b", pa.duration("s"))])))])
    with pytest.raises(ConfigError, match=r"^schema\.a\[\]\.b='duration\[s\]'"):
        Decoder(schema)


def test_names_need_not_be_names_in_python() -> None:
    """A column may be called like a keyword, or hold spaces and dashes."""
    names = ["class", "with space", "a-b", "f0", "1", "é"]
    schema = pa.schema([(name, pa.int32()) for name in names])
    payload = '{"class": 0, "with space": 1, "a-b": 2, "f0": 3, "1": 4, "é": 5}'.encode()
    ok, _ = Decoder(schema).decode(messages(payload))
    assert list(ok.drop([MESSAGE]).to_pylist()[0].values()) == [0, 1, 2, 3, 4, 5]


def test_transform_can_be_pickled() -> None:
    """Runners ship transforms to workers."""
    assert isinstance(pickle.loads(pickle.dumps(Parse(EVENTS))), Parse)
